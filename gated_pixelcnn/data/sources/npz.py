"""Source `npz:<file>`: arrays x_train, y_train, x_test, y_test as in Keras' data sets.

Only x_train is required; x_val and y_val are the validation images, class_names the names of the
classes. Images are [N, H, W] or [N, H, W, C]: bytes 0..255, or 0 and 1 (or False and True) where
they are binarized, or any values below `data.levels`. Labels are integers [N] or [N, 1]; the
classes are those of the training images. h_train, h_val and h_test are vectors [N, D] or maps
[N, H, W, D] of numbers that models may be conditioned on, h_names the names of the D entries.

In the place of x_train may stand two maps of codes of each image, top_train [N, h, w] and
bottom_train [N, f·h, f·w] (and top_val, …), see `code_maps`.
"""

import dataclasses

import numpy as np

from gated_pixelcnn.code_maps import pack_codes
from gated_pixelcnn.data import conditions, fingerprint, preprocessing, splits
from gated_pixelcnn.data.folders import SPLIT_OF
from gated_pixelcnn.data.npz_reading import (
    as_images,
    check_images,
    opened,
    read,
    readable,
    stated_levels,
)
from gated_pixelcnn.data.preprocessing import BYTES, LEVELS
from gated_pixelcnn.errors import UserError

SPLITS = {"train": "train", "validation": "val", "test": "test"}
CONDITION = "h"  # called so in the paper
MAX_CHANNELS = 4
MAX_CLASSES = 65_536
IMAGES, MAPS = ("x",), ("top", "bottom")  # arrays of the images of a split


def load(path, config, condition=None, like=None):
    """Loads an npz file; see data.load. It tells its classes itself, so `like` is not needed."""
    arrays, prints = {}, []
    with opened(path, ("x_train", "bottom_train")) as (archive, _):
        left_out = _left_out(archive, path, config, condition)
        declared = "levels" in archive
        config = _with_values(archive, path, config)
        named = "class_names" in archive
        trained = _labels(archive, "train", path, config)
        names = _class_names(archive, path, trained)
        for split, suffix in SPLITS.items():
            if _has(archive, suffix):
                beside = _labels(archive, suffix, path, config, trained)
                images = _images(archive, suffix, path, beside, config)
                if condition:
                    beside = _conditions(archive, suffix, path, config, condition, len(images))
                prints.append(fingerprint.of_arrays(split, images, beside))
                arrays[split] = preprocessing.prepare_all(images, config), beside
        sizes = {beside.shape[-1] for _, beside in arrays.values() if condition}
        if len(sizes) > 1:
            raise UserError(
                f"the splits of {path} have conditions of different sizes: "
                f"{', '.join(map(str, sorted(sizes)))}"
            )
        entries = _condition_names(archive, path, config, *sizes)
    shapes = {images.shape[1:] for images, _ in arrays.values()}
    if len(shapes) > 1:
        raise UserError(
            f"the splits of {path} have images of different shapes: "
            f"{', '.join(map(str, sorted(shapes)))}; set data.image_size and data.grayscale, "
            f"or make them equal"
        )
    facts = {"left_out": left_out, "declared": declared, "named": named}
    facts["condition_names"] = entries
    return splits.from_arrays(config, arrays, names, " ".join(prints), **facts)


def describe(path, config, condition=None):
    """Describes an npz file by its array headers and labels; see data.describe."""
    entries = {}
    with opened(path, ("x_train", "bottom_train")) as (archive, _):
        shape = _shape(archive, path, config)
        names = _class_names(archive, path, _labels(archive, "train", path, config))
        if condition:
            size = _header(archive, _condition_key(archive, "train", path, config), path)[0][-1]
            entries["condition_size"] = size
            entries["condition_names"] = _condition_names(archive, path, config, size)
    return splits.make_info(config, preprocessing.prepared_shape(shape, config), names, **entries)


def _left_out(archive, path, config, condition):
    """Name of an array → why it is not read; a UserError for those of a split called otherwise."""
    read = {"levels", "class_names"} if config.labels else {"levels"}
    feature = config.condition_feature or CONDITION
    kinds = [*_kinds(archive), *(["y"] if config.labels else []), *([feature] if condition else [])]
    read |= {f"{feature}_names"} if condition else set()
    for suffix in SPLITS.values():
        if _has(archive, suffix):
            read |= {f"{kind}_{suffix}" for kind in kinds}
    if "y_train" not in archive:
        read.discard("class_names")
    left_out = [name for name in archive.files if name not in read]
    for name in left_out:
        kind, _, split = name.casefold().partition("_")
        wanted = f"{kind}_{SPLITS.get(SPLIT_OF.get(split))}"
        if kind in (*IMAGES, *MAPS, "y") and split in SPLIT_OF and name != wanted:
            raise UserError(f"{path} has an array {name}, which is not read: call it {wanted}")
    return dict.fromkeys(left_out, "arrays that are not read")


def _with_values(archive, path, config):
    """The configuration with what the file says of its values by an array `levels`."""
    levels = stated_levels(archive, path)
    if levels is None or config.values == BYTES:  # decided by hand, or by the run
        return config
    if levels != config.levels:
        raise UserError(
            f"{path} says that its values are of {levels} levels, but data.levels is "
            f"{config.levels}: set data.levels={levels}, or data.values=bytes if they are bytes"
        )
    return dataclasses.replace(config, values=LEVELS)


def _kinds(archive):
    """What the arrays of images are called: IMAGES or, where these are not there, MAPS."""
    return IMAGES if "x_train" in archive else MAPS


def _has(archive, suffix):
    """Whether there are images of a split."""
    return any(f"{kind}_{suffix}" in archive for kind in _kinds(archive))


def _images(archive, suffix, path, labels, config):
    """Returns the images of a split as they are stored, see `as_images`; two maps as one array."""
    arrays = []
    for kind in _kinds(archive):
        if (name := f"{kind}_{suffix}") not in archive:
            raise UserError(f"{path} has no array {name}: of two maps of codes both are needed")
        what, array = f"{name} of {path}", read(archive, name, path)
        _check_images(array.shape, array.dtype, what, config.levels)
        if labels is not None and len(labels) != len(array):
            raise UserError(
                f"{path} has {len(array)} images in {name} but {len(labels)} labels in y_{suffix}"
            )
        arrays.append(as_images(array, what, config.levels))
    return arrays[0] if len(arrays) == 1 else _packed(arrays, suffix, path, config)


def _packed(maps, suffix, path, config):
    """Two maps [N, h, w, 1] as one array."""
    if config.values != LEVELS:
        raise UserError(
            f"{path} has two maps of codes, top_{suffix} and bottom_{suffix}: they are for "
            "model.family=code_hierarchy"
        )
    if config.flips:
        raise UserError(
            "data.flips is of images: it would mirror the places of two maps of codes, but not the "
            "codes of the bottom map at a place"
        )
    try:
        return pack_codes(*(array[..., 0] if array.shape[-1] == 1 else array for array in maps))
    except ValueError as error:
        raise UserError(f"top_{suffix} and bottom_{suffix} of {path}: {error}") from error


def _shape(archive, path, config):
    """(H, W, C) of the images by the headers of their arrays."""
    found = []
    for kind in _kinds(archive):
        shape, dtype = _header(archive, f"{kind}_train", path)
        _check_images(shape, dtype, f"{kind}_train of {path}", config.levels)
        found.append(np.zeros((1, *shape[1:], *[1] * (len(shape) == 3)), np.uint8))
    packed = found[0] if len(found) == 1 else _packed(found, "train", path, config)
    return packed.shape[1:]


def _header(archive, key, path):
    """Reads the shape and the type of an array without the array."""
    with readable(f"{key} of {path}"), archive.zip.open(f"{key}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    return shape, dtype


def _check_images(shape, dtype, what, levels):
    check_images(shape, dtype, what, levels)
    if len(shape) == 4 and shape[-1] > MAX_CHANNELS:
        raise UserError(
            f"{what} has shape {shape}, so {shape[-1]} colours; there may be 1 to {MAX_CHANNELS}, "
            "and they are the last axis: [N, H, W, C]; two maps of codes are saved as top_train "
            "and bottom_train, see unpack_codes"
        )


def _labels(archive, suffix, path, config, trained=None):
    """Returns the labels of a split, int32 [N], or None if the file has none at all.

    Those that are not among the labels `trained` are an error.
    """
    key = f"y_{suffix}"
    present = [f"y_{s}" for s in SPLITS.values() if _has(archive, s) and f"y_{s}" in archive]
    if not config.labels or not present:
        return None
    if key not in archive:
        raise UserError(
            f"{path} has labels {', '.join(present)} but no {key}; add it or set data.labels=False"
        )
    labels = read(archive, key, path)
    what = f"{key} of {path}"
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "ui":
        raise UserError(
            f"{what} has shape {labels.shape} and type {labels.dtype}; labels must be whole "
            f"numbers [N] (for one-hot labels: argmax), or set data.labels=False"
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < MAX_CLASSES:
        raise UserError(
            f"{what} has values {labels.min()}..{labels.max()}; labels must number the classes "
            f"from 0 to at most {MAX_CLASSES - 1}, or set data.labels=False"
        )
    unknown = [] if trained is None else np.setdiff1d(labels, trained)
    if len(unknown):
        raise UserError(
            f"{what} has {np.isin(labels, unknown).sum()} labels that no training image has "
            f"({', '.join(map(str, unknown[:5]))}{', ...' if len(unknown) > 5 else ''}); remove "
            "these images, or set data.labels=False"
        )
    return labels.astype(np.int32)


def _condition_key(archive, suffix, path, config):
    """The name of the array of a split's conditions; raises a UserError if it is not there."""
    feature = config.condition_feature or CONDITION
    key = f"{feature}_{suffix}"
    if key not in archive:
        raise UserError(
            f"{path} has no array {key} with the conditions of x_{suffix}; add it, or name others "
            "by data.condition_feature"
        )
    return key


def _conditions(archive, suffix, path, config, condition, num):
    """Returns the conditions of a split, float32 [N, ...]."""
    key = _condition_key(archive, suffix, path, config)
    return conditions.checked(read(archive, key, path), condition, f"{key} of {path}", num)


def _condition_names(archive, path, config, size=0):
    """Returns the names of the entries of conditions of this size, () if there are none."""
    key = f"{config.condition_feature or CONDITION}_names"
    if not size or key not in archive:
        return ()
    names = read(archive, key, path)
    return conditions.check_names(names.reshape(-1).tolist(), size, f"{key} of {path}")


def _class_names(archive, path, labels):
    """Returns the names of the classes: those of the file, or the training labels as text."""
    if labels is None:
        return ()
    count = 1 + int(labels.max(initial=-1))
    if "class_names" not in archive:
        return tuple(str(label) for label in range(count))
    names = read(archive, "class_names", path)
    if names.ndim != 1 or len(names) < count:
        raise UserError(
            f"class_names of {path} must be a list of at least {count} names, one per label, but "
            f"has shape {names.shape}"
        )
    names = [n.decode(errors="replace") if isinstance(n, bytes) else str(n) for n in names.tolist()]
    wrong = sorted({name for name in names if names.count(name) > 1 or not name.strip()})
    if wrong:
        raise UserError(
            f"class_names of {path} must be names that differ, but {wrong[0]!r} is "
            f"{'there several times' if wrong[0].strip() else 'empty'}"
        )
    return tuple(names)
