"""Conditions as a user writes them: classes, vectors, tags and maps."""

import numpy as np

from gated_pixelcnn import paths
from gated_pixelcnn.cli.labels import class_name, parse_labels
from gated_pixelcnn.data import photos
from gated_pixelcnn.data.conditions import checked
from gated_pixelcnn.data.npz_reading import opened, read
from gated_pixelcnn.errors import UserError, nearest

FLAGS = ("label", "vector", "tags", "map")
_OF_KIND = {"label": ("label",), "vector": ("vector", "tags"), "spatial": ("map",)}
_WORDS = {"label": "the class", "vector": "a vector", "spatial": "maps", "image": "an image"}
_KEYS = ("h", "h_test")


def refuse_other_flags(values, model, but=()):
    """Raises a UserError for a flag that is not of the model's kind of condition, `but` these."""
    kind = model.condition_kind
    of_kind = _OF_KIND.get(kind, ())
    what = f"conditioned on {_WORDS[kind]}" if kind else "trained without a condition"
    hint = f"; give --{' or --'.join(of_kind)}" if of_kind else ""
    for name in FLAGS:
        if name not in of_kind and values[name].value not in (None, "", []):
            raise UserError(f"--{name} is not possible: this model is {what}{hint}")
    if values.like and kind != "image" and "like" not in but:
        raise UserError("--like is not possible: this model is not conditioned on an image")


def read_conditions(values, model, trained):
    """Reads the flags of the model's kind of condition.

    Args:
      values: FlagValues.
      model: A density model.
      trained: See `tasks.task.Trained`.

    Returns:
      An array [R, …] of conditions and a text for each, or None in the place of either.

    Raises:
      UserError: None is given, or what it names does not fit.
    """
    kind = model.condition_kind
    of_kind = _OF_KIND.get(kind, ())
    given = [name for name in of_kind if values[name].value not in (None, "", [])]
    if kind == "label":
        labels = parse_labels(
            values.label, model.condition_size, trained.class_names, trained.empty_classes
        )
        names = [class_name(label, trained.class_names) for label in labels]
        return np.array(labels, np.int32), names
    if not of_kind:
        return None, None
    if len(given) != 1:
        names = ", ".join(trained.condition_names[:20])
        raise UserError(
            f"this model is conditioned on {model.condition_size} numbers"
            f"{' at every pixel' if kind == 'spatial' else ''}{f' ({names})' if names else ''}: "
            f"give {'one of ' if len(of_kind) > 1 else ''}--{' and --'.join(of_kind)}"
        )
    if given == ["tags"]:
        texts = values.tags
        return np.array([_tags(text, trained.condition_names) for text in texts]), texts
    path = values[given[0]].value
    if kind == "spatial" and not photos.is_npz(path):
        shape = (*model.image_shape[:2], model.condition_size)
        return photos.read_map(path, shape, trained.reading)[None], None
    return _of_npz(path, model), None


def _of_npz(path, model):
    """The vectors or maps of an npz file, of one or of several."""
    kind, size = model.condition_kind, model.condition_size
    shape = (size,) if kind == "vector" else (*model.image_shape[:2], size)
    with opened(path, _KEYS) as (archive, key):
        found = read(archive, key, path)
    found = found[None] if found.ndim == len(shape) else found
    found = checked(found, kind, f"{key} of {path}")
    if found.shape[1:] != shape or not len(found):
        raise UserError(
            f"{key} of {path} has shape {list(found.shape)}, but this model is conditioned on "
            f"[N, {', '.join(map(str, shape))}]"
        )
    return found


def _tags(text, names):
    """The vector of tags: 1 for those that are named, and name=number for any other number."""
    if not names:
        raise UserError("--tags needs names: this model's vector has none; give --vector")
    vector = np.zeros(len(names), np.float32)
    for word in paths.split_names(text, names.__contains__):
        name, value = word, 1.0
        if word not in names:
            name, _, number = word.rpartition("=")
            try:
                value = float(number) if name else None
            except ValueError:
                value = None
            if name not in names or value is None:
                raise UserError(f"--tags: {word!r} is not one of the model's{nearest(word, names)}")
            if not np.isfinite(value):
                raise UserError(f"--tags: {word} is not a finite number")
        vector[names.index(name)] = value
    return vector
