"""Source `folder:<directory>`: image files.

Class sub-folders give the labels, in alphabetical order; files directly in the directory (or a
single sub-folder) have none. If the directory has a sub-folder `train`, it and `test` and
`validation` (or `val`) are the splits, each laid out in that way.
"""

import collections
import concurrent.futures
import dataclasses
import os
import pathlib

import numpy as np

from gated_pixelcnn.data import dataset, fingerprint
from gated_pixelcnn.data import images as image_ops
from gated_pixelcnn.data.image_file import READ_ERRORS, inspect, read_image, why_unreadable
from gated_pixelcnn.errors import UserError

SUFFIXES = frozenset(".png .jpg .jpeg .bmp .gif .webp .tif .tiff .ppm .pgm .pbm".split())
SPLIT_FOLDERS = {
    "train": ("train",),
    "validation": ("validation", "val", "valid"),
    "test": ("test",),
}
GRAY_MODES = ("1", "L")
COLOUR_MODES = ("RGB", "P")


@dataclasses.dataclass(frozen=True)
class Listing:
    """The files of a split.

    Attributes:
      paths: The image files.
      classes: The name of each file's class, or None if there are no classes.
    """

    paths: list[pathlib.Path]
    classes: list[str] | None


def load(directory, config):
    """Loads a folder of images, or opens it if it is big; see data.load."""
    listings = _listings(directory)
    names = _class_names(listings, directory, config)
    paths = [path for listing in listings.values() for path in listing.paths]
    headers, sizes = _inspect_all(paths, directory)
    shape = _common_shape(headers, paths, directory, config)
    labels = {split: _labels(listing, names) for split, listing in listings.items()}
    prints = " ".join(
        fingerprint.of_files(split, pathlib.Path(directory), listing.paths, sizes)
        for split, listing in listings.items()
    )

    if len(paths) * np.prod(shape) > config.memory_limit_mb * 10**6:
        from gated_pixelcnn.data.files import FileSplit

        splits = {
            split: FileSplit(listing.paths, labels[split], shape, config)
            for split, listing in listings.items()
        }
        return dataset.make_data(config, dataset.hold_out(config, splits), names, prints)

    arrays, places = {}, {}
    for split, listing in listings.items():
        images = np.empty((len(listing.paths), *shape), np.uint8)
        arrays[split] = images, labels[split]
        places |= dict(zip(listing.paths, images, strict=True))

    def read(path):
        places[path][...] = read_image(path, shape, config)

    _all(read, paths, directory)
    return dataset.from_arrays(config, arrays, names, prints)


def describe(directory, config):
    """Describes a folder of images by its first image; see data.describe."""
    listings = _listings(directory)
    names = _class_names(listings, directory, config)
    first = listings["train"].paths[:1]
    headers, _ = _inspect_all(first, directory)
    shape = _common_shape(headers, first, directory, config)
    return dataset.DataInfo(shape, config.levels, len(names), names)


def _listings(directory):
    """Finds the splits of a directory; raises UserError unless there are training images."""
    root = pathlib.Path(directory)
    if not root.is_dir():
        raise UserError(f"there is no directory {directory}")
    try:
        if not (root / "train").is_dir():
            return {"train": _listing(root)}
        folders = {
            split: root / name
            for split, names in SPLIT_FOLDERS.items()
            for name in names
            if (root / name).is_dir()
        }
        return {split: _listing(folder) for split, folder in folders.items()}
    except PermissionError as error:
        raise UserError(f"{error.filename} cannot be listed: permission denied") from error


def _listing(folder):
    flat = _files(folder, recursive=False)
    classes = {
        entry.name: _files(entry, recursive=True)
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and not entry.name.startswith(".")
    }
    classes = {name: files for name, files in classes.items() if files}
    if flat and classes:
        raise UserError(
            f"{folder} has {len(flat)} images beside sub-folders of images "
            f"({', '.join(list(classes)[:3])}); put every image into a class sub-folder or none"
        )
    if not flat and not classes:
        raise UserError(
            f"{folder} has no images; files that end in {' '.join(sorted(SUFFIXES))} are looked "
            f"for, there and in its sub-folders"
        )
    if flat or len(classes) == 1:
        return Listing(flat or next(iter(classes.values())), None)
    pairs = [(path, name) for name, files in classes.items() for path in files]
    return Listing([path for path, _ in pairs], [name for _, name in pairs])


def _files(folder, recursive):
    entries = folder.rglob("*") if recursive else folder.iterdir()
    return sorted(
        path
        for path in entries
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _class_names(listings, directory, config):
    """Returns the names of the training classes, () without; the other splits must have them."""
    train = listings["train"].classes
    if not config.labels or train is None:
        return ()
    names = sorted(set(train))
    for split, listing in listings.items():
        if listing.classes is None:
            raise UserError(
                f"the {split} images of {directory} are not in class sub-folders, as the training "
                f"images are; sort them or set data.labels=False"
            )
        unknown = sorted(set(listing.classes) - set(names))
        if unknown:
            raise UserError(
                f"the {split} images of {directory} have classes that the training images do not "
                f"have: {', '.join(unknown[:5])}"
            )
    return tuple(names)


def _labels(listing, names):
    if not names:
        return None
    return np.array([names.index(name) for name in listing.classes], np.int32)


def _inspect_all(paths, directory):
    """Returns the header of each file, and a dict of the files' sizes in bytes."""
    found = _all(lambda path: (inspect(path), os.path.getsize(path)), paths, directory)
    headers, sizes = zip(*found, strict=True)
    return headers, dict(zip(paths, sizes, strict=True))


def _common_shape(headers, paths, directory, config):
    """Checks modes and sizes; returns the shape (H, W, C) that the images are brought to."""
    allowed = GRAY_MODES + COLOUR_MODES
    _raise_if_any(
        {
            path: f"mode {mode}"
            for path, (mode, _) in zip(paths, headers, strict=True)
            if mode not in allowed
        },
        paths,
        directory,
        "are neither gray nor RGB with 8 bits",
        "convert them (RGBA: onto a background; CMYK, 16 bits: to RGB or 8-bit gray)",
    )
    gray = config.gray or all(mode in GRAY_MODES for mode, _ in headers)
    size = config.image_size
    headers = [(mode, image_ops.cropped_size(*found, config)) for mode, found in headers]
    sizes = collections.Counter(found for _, found in headers)
    if size:
        _raise_if_any(
            {
                path: f"{h}x{w}"
                for path, (_, (h, w)) in zip(paths, headers, strict=True)
                if min(h, w) < size
            },
            paths,
            directory,
            f"are smaller than data.image_size={size}",
            "choose a smaller size or remove them",
        )
        return (size, size, 1 if gray else 3)
    if len(sizes) > 1:
        common = ", ".join(f"{n} of {h}x{w}" for (h, w), n in sizes.most_common(3))
        raise UserError(
            f"the images of {directory} have {len(sizes)} different sizes ({common}, ...; height "
            f"x width); set data.image_size to cut and scale them to one square size"
        )
    return (*next(iter(sizes)), 1 if gray else 3)


def _all(function, paths, directory):
    """Applies a function to every file, in parallel; all failures make one UserError."""

    def attempt(path):
        try:
            return function(path), None
        except READ_ERRORS as error:
            return None, why_unreadable(path, error)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(attempt, paths))
    bad = {path: why for path, (_, why) in zip(paths, outcomes, strict=True) if why}
    _raise_if_any(bad, paths, directory, "cannot be read", "remove or replace them")
    return [result for result, _ in outcomes]


def _raise_if_any(bad, paths, directory, problem, remedy, named=5):
    """Raises a UserError that counts the bad files and names a few."""
    if not bad:
        return
    files = ", ".join(f"{path} ({why})" for path, why in list(bad.items())[:named])
    more = f" and {len(bad) - named} more" if len(bad) > named else ""
    raise UserError(
        f"{len(bad)} of {len(paths)} image files in {directory} {problem}: {files}{more}; {remedy}"
    )
