"""Classes as a user writes them: by number or by name."""

import re

from gated_pixelcnn import paths
from gated_pixelcnn.errors import UserError, nearest
from gated_pixelcnn.names import find_name


def class_name(label, class_names):
    """Returns the name of a class in a picture."""
    return class_names[label] if label < len(class_names) else str(label)


def parse_labels(text, classes, class_names=(), empty_classes=()):
    """Reads --label: "all", or numbers or names of `classes` classes, with commas between them.

    Returns:
      List of labels, without those of `empty_classes`.
    """
    words = paths.split_names(text or "", lambda word: word in class_names)
    if not words:
        raise UserError(
            f"this model is conditioned on the class: give --label=0…{classes - 1}, several as in "
            "--label=0,1, or --label=all"
        )
    if text == "all":
        return [label for label in range(classes) if label not in set(empty_classes)]
    return [parse_label("label", word, classes, class_names, empty_classes) for word in words]


def named_by_other_numbers(class_names):
    """Whether some classes are named by numbers that are not their labels."""
    return any(name.isdecimal() and name != str(i) for i, name in enumerate(class_names))


def parse_label(flag, word, classes, class_names=(), empty_classes=()):
    """Reads one class of the flag of this name; see `parse_labels`."""
    try:
        found = find_name(word, class_names)
    except ValueError as error:
        raise UserError(f"--{flag}: {error}") from None
    label = found
    if found is None and re.fullmatch("-?[0-9]{1,9}", word):
        if named_by_other_numbers(class_names):
            raise UserError(
                f"--{flag}: {word} is no class, of which some are named by numbers that are not "
                f"their labels: give names, {', '.join(class_names[:20])}"
            )
        label = int(word)
    if label is None:
        hint = nearest(word, class_names) if class_names else ""
        raise UserError(
            f"--{flag}: {word} is neither a number 0…{classes - 1} nor the name of a class{hint}"
        )
    if not 0 <= label < classes:
        raise UserError(f"--{flag}: {label} is out of range: the classes are 0…{classes - 1}")
    if label in empty_classes:
        raise UserError(f"--{flag}: {word} is a class of which there was no image to train on")
    return label
