"""Source `folder:<directory>`: image files.

What the sub-folders are, splits or classes, data/folders.py tells; docs/data.md is for users. The
classes of the training images, in natural order, are those of all splits.
"""

import collections
import concurrent.futures
import os
import unicodedata

import numpy as np

from gated_pixelcnn.data import fingerprint, folders, preprocessing
from gated_pixelcnn.data import splits as splitting
from gated_pixelcnn.data.image_reading import READ_ERRORS, inspect, read_prepared, why_unreadable
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.names import matching, natural


def load(directory, config, like=None):
    """Loads a folder of images, or opens it if it is big; see data.load."""
    found = _arranged(directory, config, like)
    names = _class_names(found, directory, config, like)
    pictures, prints = {}, []
    headers, sizes = _inspect_all(directory, found, config)
    for split, part in found.parts.items():
        prints.append(fingerprint.of_files(split, part.files, sizes))
        labels = _labels(part, names, directory, split)
        pictures[split] = [
            (os.path.join(directory, file), header, label)
            for file, label in zip(part.files, labels, strict=True)
            for header in headers[file]
        ]
    shape = _common_shape(pictures, directory, config, like)
    facts = {
        "layout": found.layout,
        "left_out": found.left_out,
        "fingerprint": " ".join(prints),
    }
    splits = {split: _columns(of_split, names) for split, of_split in pictures.items()}

    if sum(map(len, pictures.values())) * np.prod(shape) > config.memory_limit_mb * 10**6:
        return _opened(config, splits, names, shape, facts)

    arrays, jobs = {}, []
    for split, (paths, frames, labels) in splits.items():
        images = np.empty((len(paths), *shape), np.uint8)
        arrays[split] = images, labels
        jobs += zip(images, paths, frames, strict=True)

    def read(job):
        place, path, frame = job
        place[...] = read_prepared(path, frame, shape, config)

    _all(read, jobs, [path for _, path, _ in jobs], directory)
    return splitting.from_arrays(config, arrays, names, **facts)


def describe(directory, config):
    """Describes a folder of images by its first image; see data.describe."""
    found = _arranged(directory, config, None)
    names = _class_names(found, directory, config, None)
    path = os.path.join(directory, found.parts["train"].files[0])
    (headers,) = _all(lambda path: inspect(path, config.image_rules()), [path], [path], directory)
    shape = _common_shape({"train": [(path, headers[0], None)]}, directory, config, None)
    return splitting.make_info(config, shape, names)


def _arranged(directory, config, like):
    known = like.class_names if like else ()
    return folders.arrange(folders.find(directory), config.layout, known)


def _opened(config, splits, names, shape, facts):
    """The Data of files that are not held in memory."""
    from gated_pixelcnn.data.batches import IndexedSplit

    def pieces(paths, frames, _):
        for path, frame in zip(paths, frames, strict=True):
            yield _read_one(path, frame, shape, config)

    def opened(paths, frames, labels):
        paths, frames = np.array(paths), np.array(frames)

        def read(numbers):
            images = np.empty((len(numbers), *shape), np.uint8)
            for place, path, frame in zip(images, paths[numbers], frames[numbers], strict=True):
                image = _read_one(path, int(frame), shape, config)
                place[...] = preprocessing.to_levels(image, config.levels, stored, path)
            return images

        return IndexedSplit(read, len(paths), shape, labels)

    stored = preprocessing.decide_values(config, {split: pieces(*x) for split, x in splits.items()})
    opened_splits = {split: opened(*x) for split, x in splits.items()}
    return splitting.make_data(config, opened_splits, names, values=stored, **facts)


def _read_one(path, frame, shape, config):
    """The same as `read_prepared`, but all that may be wrong with a file is a UserError."""
    try:
        return read_prepared(path, frame, shape, config)
    except READ_ERRORS as error:
        why = " ".join(why_unreadable(path, error).splitlines())
    # Inside of a graph: `input_error` makes the sentence of what TensorFlow makes of it.
    raise UserError(f"image file {path} cannot be used ({why}); remove or replace it")


def _columns(pictures, names):
    """(paths, frames, labels or None) of the images of a split."""
    paths, headers, labels = zip(*pictures, strict=True)
    labels = np.array(labels, np.int32) if names else None
    return list(paths), [header.frame for header in headers], labels


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
        return [None] * len(part.files)
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
    return [label_of[known[name]] for name in part.classes]


def _inspect_all(directory, found, config):
    """Returns the headers of the images of each file, and the size of each in bytes."""
    files = [file for part in found.parts.values() for file in part.files]
    paths = [os.path.join(directory, file) for file in files]
    rules = config.image_rules()
    headers = _all(lambda path: inspect(path, rules), paths, paths, directory)
    return dict(zip(files, headers, strict=True)), {
        file: os.path.getsize(path) for file, path in zip(files, paths, strict=True)
    }


def _common_shape(pictures, directory, config, like):
    """Returns the shape (H, W, C) that the images are brought to; raises UserError."""
    headers = [(path, header) for part in pictures.values() for path, header, _ in part]
    gray = all(header.gray for _, header in headers) and not (like and like.image_shape[-1] == 3)
    channels = 1 if config.gray or gray else 3
    sizes = [preprocessing.cropped_size(*header.size, config) for _, header in headers]
    if size := config.image_size:
        small = {
            path: f"{height}x{width}"
            for (path, _), (height, width) in zip(headers, sizes, strict=True)
            if min(height, width) < size
        }
        problem = f"are smaller than data.image_size={size}"
        remedy = "choose a smaller size or remove them"
        _raise_if_any(small, len(headers), directory, problem, remedy)
        return (size, size, channels)
    counts = collections.Counter(sizes)
    if len(counts) > 1:
        common = ", ".join(f"{n} of {h}x{w}" for (h, w), n in counts.most_common(3))
        raise UserError(
            f"the images of {directory} have {len(counts)} different sizes ({common}, ...; height "
            f"x width); set data.image_size to cut and scale them to one square size"
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
