"""Models as parts of another one: a family and its arguments, as configurations have them."""

import abc

from gated_pixelcnn.errors import nearest
from gated_pixelcnn.models.likelihood_model import LikelihoodModel
from gated_pixelcnn.models.registry import FAMILIES
from gated_pixelcnn.models.trainable import Trainable, check_family, take_layers


def make_part(part, name, note="", **arguments):
    """A density model of a family and its arguments.

    Args:
      part: dict of "family" and the arguments of its class.
      name: of the part.
      note: for messages, what its images are of: sizes in them are those of the part.
      **arguments: those that the whole sets.

    Raises:
      ValueError: it is no such dict, or the family refuses an argument; the message tells which
        part it is.
    """
    # It has parts, too.
    from gated_pixelcnn.models.latent_variable import LatentVariableModel

    if not isinstance(part, dict) or part.keys() & arguments.keys():
        raise ValueError(
            f"{name} must be a dict of a family and its arguments, without those that the whole "
            f"sets ({', '.join(arguments)}), got {part!r}."
        )
    # A model with latent numbers is trained by more than its log-probability.
    wanted = {
        key: kind
        for key, kind in FAMILIES.items()
        if issubclass(kind, LikelihoodModel) and not issubclass(kind, LatentVariableModel)
    }
    part = dict(part)
    family = part.pop("family", None)
    if family not in list(wanted):
        raise ValueError(f"family of {name} must be one of {', '.join(wanted)}, got {family!r}.")
    try:
        return wanted[family](name=name, **arguments, **part)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}{note}: {error}") from error


class TrainedApart(Trainable):
    """A model of parts, of which one can be trained alone.

    Attributes:
      train_only: the part that is trained; "" for all.
    """

    parts = ()  # what `train_only` may be, but for ""

    def get_config(self):
        """See `Trainable`."""
        return super().get_config() | {"train_only": self.train_only}

    @abc.abstractmethod
    def layers_by_part(self):
        """Layers and weights by the part that they belong to; parts beyond `parts` go with all."""

    def set_train_only(self, train_only):
        """Freezes all parts but one; call it when all layers are made.

        Raises:
          ValueError: it is no part.
        """
        if train_only not in ("", *self.parts):
            raise ValueError(f"train_only is {train_only!r}{nearest(str(train_only), self.parts)}.")
        self.train_only = train_only
        for part, layers in self.layers_by_part().items():
            for layer in layers:
                if train_only not in ("", part):
                    layer.trainable = False

    @property
    def untrained(self):
        """The part that nobody has trained, "" if none is."""
        return next((part for part in self.parts if self.train_only not in ("", part)), "")

    def take_weights(self, other):
        """See `Trainable`; of a model with `train_only` that part alone."""
        check_family(self, other)
        own, theirs = self.layers_by_part(), other.layers_by_part()
        taken = []
        for part in [other.train_only] if other.train_only else own:
            for layer, source in zip(own[part], theirs[part], strict=True):
                if isinstance(layer, Trainable):
                    taken += layer.take_weights(source)
                else:
                    taken += take_layers([layer], [source])
        return taken
