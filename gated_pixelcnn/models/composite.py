"""Submodels of a model: a family and its arguments each, as configurations have them."""

import abc

from gated_pixelcnn.errors import nearest
from gated_pixelcnn.models.likelihood_model import LikelihoodModel
from gated_pixelcnn.models.registry import FAMILIES
from gated_pixelcnn.models.trainable import Trainable, check_family, take_layers


def make_submodel(submodel, name, note="", **arguments):
    """A density model of a family and its arguments.

    Args:
      submodel: dict of "family" and the arguments of its class.
      name: of the submodel.
      note: for messages, what its images are of: sizes in them are those of the submodel.
      **arguments: those that the whole sets.

    Raises:
      ValueError: it is no such dict, or the family refuses an argument; the message tells which
        submodel it is.
    """
    # AGAVE has submodels, too.
    from gated_pixelcnn.models.families.vq_vae import VQVAE
    from gated_pixelcnn.models.latent_variable import LatentVariableModel

    if not isinstance(submodel, dict) or submodel.keys() & arguments.keys():
        raise ValueError(
            f"{name} must be a dict of a family and its arguments, without those that the whole "
            f"sets ({', '.join(arguments)}), got {submodel!r}."
        )
    # These are trained by more than their log-probability.
    others = (LatentVariableModel, VQVAE)
    wanted = {
        key: kind
        for key, kind in FAMILIES.items()
        if issubclass(kind, LikelihoodModel)
        and not (issubclass(kind, others) or kind.trains_on_codes)
    }
    submodel = dict(submodel)
    family = submodel.pop("family", None)
    if family not in list(wanted):
        raise ValueError(f"family of {name} must be one of {', '.join(wanted)}, got {family!r}.")
    try:
        return wanted[family](name=name, **arguments, **submodel)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}{note}: {error}") from error


class TrainedApart(Trainable):
    """A model of submodels, of which one can be trained alone.

    Attributes:
      train_only: the submodel that is trained; "" for all.
    """

    submodels: tuple[str, ...] = ()  # what `train_only` may be, but for ""

    def get_config(self) -> dict:
        """See `Trainable`."""
        return super().get_config() | {"train_only": self.train_only}

    @abc.abstractmethod
    def layers_by_submodel(self) -> dict[str, list]:
        """Layers and weights by submodel; those under other names than `submodels` go with all."""

    def set_train_only(self, train_only: str) -> None:
        """Freezes all submodels but one; call it when all layers are made.

        Raises:
          ValueError: it is no submodel.
        """
        if train_only not in ("", *self.submodels):
            raise ValueError(
                f"train_only is {train_only!r}{nearest(str(train_only), self.submodels)}."
            )
        self.train_only = train_only
        for submodel, layers in self.layers_by_submodel().items():
            for layer in layers:
                if train_only not in ("", submodel):
                    layer.trainable = False

    @property
    def untrained(self) -> str:
        """The submodel that nobody has trained, "" if none is."""
        return next(
            (submodel for submodel in self.submodels if self.train_only not in ("", submodel)), ""
        )

    def take_weights(self, other: "Trainable") -> list:
        """See `Trainable`; of a model with `train_only` that submodel alone."""
        check_family(self, other)
        own, theirs = self.layers_by_submodel(), other.layers_by_submodel()
        taken = []
        for submodel in [other.train_only] if other.train_only else own:
            for layer, source in zip(own[submodel], theirs[submodel], strict=True):
                if isinstance(layer, Trainable):
                    taken += layer.take_weights(source)
                else:
                    taken += take_layers([layer], [source])
        return taken
