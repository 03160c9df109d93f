"""Models as parts of another one: a family and its arguments, as configurations have them."""

from gated_pixelcnn.errors import nearest
from gated_pixelcnn.models.likelihood_model import LikelihoodModel


def make_part(part, name, **arguments):
    """A density model of a family and its arguments.

    Args:
      part: dict of "family" and the arguments of its class.
      name: of the part.
      **arguments: those that the whole sets.

    Raises:
      ValueError: it is no such dict, or the family refuses an argument; the message tells which
        part it is.
    """
    from gated_pixelcnn.families import FAMILIES  # which has the models with parts, too

    if not isinstance(part, dict) or part.keys() & arguments.keys():
        raise ValueError(
            f"{name} must be a dict of a family and its arguments, without those that the whole "
            f"sets ({', '.join(arguments)}), got {part!r}."
        )
    wanted = {key: kind for key, kind in FAMILIES.items() if issubclass(kind, LikelihoodModel)}
    part = dict(part)
    family = part.pop("family", None)
    if family not in list(wanted):
        raise ValueError(f"family of {name} must be one of {', '.join(wanted)}, got {family!r}.")
    try:
        return wanted[family](name=name, **arguments, **part)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: {error}") from error


def check_train_only(train_only, parts):
    """Raises a ValueError for a name that is not that of a part, or "" for all."""
    if train_only not in ("", *parts):
        raise ValueError(f"train_only is {train_only!r}{nearest(str(train_only), parts)}.")


def freeze(layers):
    """Makes layers keep their weights in training; None is no layer."""
    for layer in layers:
        if layer is not None:
            layer.trainable = False
