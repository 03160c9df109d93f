"""Source `folder:<directory>`: image files.

What the sub-folders are, splits or classes, data/folders.py tells; docs/own-data.md is for users.
The classes of the training images, in natural order, are those of all splits.
"""

import collections
import concurrent.futures
import os
import unicodedata

import numpy as np

from gated_pixelcnn.data import conditions, fingerprint, folders, preprocessing, splits
from gated_pixelcnn.data.image_reading import READ_ERRORS, inspect, read_prepared, why_unreadable
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.names import matching, natural


def load(directory, config, condition=None, like=None):
    """Loads a folder of images, or opens it if it is big; see data.load."""
    found = folders.arrange(folders.find(directory), config.layout, like and like.class_names)
    names = _class_names(found, directory, config, like)
    paths = {
        split: [os.path.join(directory, file) for file in part.files]
        for split, part in found.parts.items()
    }
    headers = _inspect(sum(paths.values(), []), directory, config)  # path → its Headers
    shape = _common_shape(headers, directory, config, like)
    table = _table(found, directory, config, condition, like)
    columns, prints = {}, []
    for split, part in found.parts.items():
        beside = table.vectors(part.files) if table else _labels(part, names, directory, split)
        columns[split] = _columns(paths[split], headers, beside)
        prints.append(fingerprint.of_files(split, directory, part.files, beside if table else None))
    facts = {
        "condition_names": table.names if table else (),
        "class_names": names,
        "fingerprint": " ".join(prints),
        "layout": found.layout,
        "left_out": {x: why for x, why in found.left_out.items() if x != (table and table.name)},
    }
    num_images = sum(len(paths) for paths, _, _ in columns.values())
    if num_images * np.prod(shape) > config.memory_limit_mb * 10**6:
        opened, values = _opened(columns, shape, config)
        return splits.make_data(config, opened, values=values, **facts)
    return splits.from_arrays(config, _read_all(columns, shape, directory, config), **facts)


def describe(directory, config, condition=None):
    """Describes a folder of images by its first image; see data.describe."""
    found = folders.arrange(folders.find(directory), config.layout)
    names = _class_names(found, directory, config, None)
    path = os.path.join(directory, found.parts["train"].files[0])
    headers = {path: _inspect([path], directory, config)[path][:1]}
    entries = {}
    if table := _table(found, directory, config, condition):
        entries = {"condition_size": len(table.names), "condition_names": table.names}
    shape = _common_shape(headers, directory, config, None)
    return splits.make_info(config, shape, names, **entries)


def _table(found, directory, config, condition, like=None):
    """The attributes of the images, or None."""
    if condition is None:
        return None
    if condition != "vector":
        raise UserError(
            f"a folder of images has vectors at most, so model.condition={condition} cannot be "
            "trained from it: give images and maps as an npz file"
        )
    known = like.condition_names if like else ()
    train = found.parts["train"].files
    return conditions.table_of(directory, config.condition_feature, train, known)


def _columns(paths, headers, beside):
    """(paths, frames, labels or conditions or None) of the images in the files of a split."""
    counts = [len(headers[path]) for path in paths]
    frames = [header.frame for path in paths for header in headers[path]]
    if beside is not None:
        beside = np.repeat(beside, counts, axis=0)
    return np.repeat(paths, counts), np.array(frames), beside


def _read_all(columns, shape, directory, config):
    """Reads the images of each split: (images, labels or conditions or None)."""
    arrays, jobs = {}, []
    for split, (paths, frames, beside) in columns.items():
        images = np.empty((len(paths), *shape), np.uint8)
        arrays[split] = images, beside
        jobs += zip(images, paths, frames.tolist(), strict=True)

    def read(job):
        place, path, frame = job
        place[...] = read_prepared(path, frame, shape, config)

    _all(read, jobs, [path for _, path, _ in jobs], directory)
    return arrays


def _opened(columns, shape, config):
    """Splits whose images are read from their files, and whether these hold levels or bytes."""
    from gated_pixelcnn.data.batches import IndexedSplit

    def pieces(paths, frames, _):
        for path, frame in zip(paths, frames, strict=True):
            yield _read_one(path, frame, shape, config)

    values = preprocessing.decide_values(config, {x: pieces(*y) for x, y in columns.items()})

    def opened(paths, frames, beside):
        def read(numbers):
            images = np.empty((len(numbers), *shape), np.uint8)
            for place, path, frame in zip(images, paths[numbers], frames[numbers], strict=True):
                image = _read_one(path, int(frame), shape, config)
                place[...] = preprocessing.to_levels(image, config.levels, values, path)
            return images

        return IndexedSplit(read, len(paths), shape, beside)

    return {split: opened(*of_split) for split, of_split in columns.items()}, values


def _read_one(path, frame, shape, config):
    """Reads as `read_prepared`, but all that may be wrong with a file is a UserError."""
    try:
        return read_prepared(path, frame, shape, config)
    except READ_ERRORS as error:
        why = " ".join(why_unreadable(path, error).splitlines())
    # Inside of a graph: `input_error` makes the sentence of what TensorFlow makes of it.
    raise UserError(f"image file {path} cannot be used ({why}); remove or replace it")


def _class_names(found, directory, config, like):
    """Returns the names of the training classes, () without; the other splits must have them."""
    train = found.parts["train"].classes
    if not config.labels or train is None:
        return ()
    names = sorted(set(train), key=natural)
    forms = {}
    for name in names:
        other = forms.setdefault(unicodedata.normalize("NFC", name), name)
        if other != name:
            raise UserError(
                f"{directory} has two classes called {name}, their accents written in two forms of "
                "Unicode: rename one of them, or put their images together"
            )
    # A run that was trained before keeps its order.
    return tuple(like.class_names if like and set(names) == set(like.class_names) else names)


def _labels(part, names, directory, split):
    """The label of each file of a split, by the names of the training classes; or None."""
    if not names:
        return None
    if part.classes is None:
        raise UserError(
            f"the {split} images of {directory} are not in class sub-folders, as the training "
            f"images are: sort them or set data.labels=False"
        )
    known = {name: matching(name, names) for name in set(part.classes)}
    unknown = sorted((name for name, other in known.items() if other is None), key=natural)
    if unknown:
        raise UserError(
            f"the {split} images of {directory} have classes that the training images do not "
            f"have: {', '.join(unknown[:5])}"
        )
    label_of = {name: label for label, name in enumerate(names)}
    return np.array([label_of[known[name]] for name in part.classes], np.int32)


def _inspect(paths, directory, config):
    """Returns path → the headers of the images of the file."""
    rules = config.image_rules()
    headers = _all(lambda path: inspect(path, rules), paths, paths, directory)
    return dict(zip(paths, headers, strict=True))


def _common_shape(headers, directory, config, like):
    """Returns the shape (H, W, C) that the images are brought to; raises UserError."""
    headers = [(path, header) for path, of_file in headers.items() for header in of_file]
    gray = all(header.gray for _, header in headers) and not (like and like.image_shape[-1] == 3)
    channels = 1 if config.grayscale or gray else 3
    sizes = [preprocessing.cropped_size(*header.size, config) for _, header in headers]
    if size := config.size:
        small = {
            path: f"{height}x{width}"
            for (path, _), (height, width) in zip(headers, sizes, strict=True)
            if config.resize != "pad" and (height < size[0] or width < size[1])
        }
        problem = f"are smaller than data.image_size={config.image_size}"
        remedy = "choose a smaller size, remove them, or set data.resize=pad"
        _raise_if_any(small, len(headers), directory, problem, remedy)
        return (*size, channels)
    counts = collections.Counter(sizes)
    if len(counts) > 1:
        common = ", ".join(f"{n} of {h}x{w}" for (h, w), n in counts.most_common(3))
        raise UserError(
            f"the images of {directory} have {len(counts)} different sizes ({common}, ...; height "
            f"x width); set data.image_size to cut and scale them to one size"
        )
    return (*next(iter(counts)), channels)


def _all(function, jobs, paths, directory):
    """Applies a function to every job, in parallel; what fails, by its path, is one UserError."""

    def attempt(job, path):
        try:
            return function(job), None
        except READ_ERRORS as error:
            return None, why_unreadable(path, error)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(attempt, jobs, paths))
    bad = {path: why for path, (_, why) in zip(paths, outcomes, strict=True) if why}
    _raise_if_any(bad, len(paths), directory, "cannot be used", "remove, replace or convert them")
    return [result for result, _ in outcomes]


def _raise_if_any(bad, total, directory, problem, remedy, named=5):
    """Raises a UserError that counts the bad files and names a few."""
    if not bad:
        return
    files = ", ".join(f"{path} ({why})" for path, why in list(bad.items())[:named])
    more = f" and {len(bad) - named} more" if len(bad) > named else ""
    raise UserError(
        f"{len(bad)} of {total} image files in {directory} {problem}: {files}{more}; {remedy}"
    )
