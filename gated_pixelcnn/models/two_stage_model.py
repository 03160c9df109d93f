"""Two density models that share the work: one of a view of an image, one of the rest given it.

The view may leave something out that the rest says again, see `families.auxiliary`, or be a part
of what there is, see `families.code_hierarchy`.
"""

import abc
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gated_pixelcnn.layers import Condition, ViewEmbedding
from gated_pixelcnn.limits import METHODS
from gated_pixelcnn.models.composite import TrainedApart, make_submodel
from gated_pixelcnn.models.likelihood_model import LikelihoodModel
from gated_pixelcnn.models.request import Request
from gated_pixelcnn.spec import Array, ImageSpec, as_array

PART = {"family": "gated_pixelcnn"}
FAR = 2**32  # example seeds of the prior: farther than any that a user can name (int32)


class TwoStageModel(TrainedApart, LikelihoodModel):
    """A prior of views, and a conditional of the rest of an image given its view.

    Attributes:
      prior: the density model of views, with the condition of this one.
      embedding: what makes maps of a view.
      conditional: the density model of the rest given these maps (a spatial condition), which hold
        the label or vector, too.
    """

    submodels = ("prior", "conditional")  # in the order of the terms

    def _make(
        self,
        view: ImageSpec,
        rest: ImageSpec,
        embedding: keras.layers.Layer,
        prior: dict,
        conditional: dict,
        spatial_features: int,
        train_only: str,
    ) -> None:
        """Makes the submodels, when `image_spec` and `condition_spec` are there.

        Args:
          view: what the prior is of.
          rest: what the conditional is of.
          embedding: layer with `features`: what `shown` gives of a view → maps of the size of the
            rest.
          prior: family of the prior and its arguments, without its condition.
          conditional: the same of the conditional.
          spatial_features: maps of m(h) beside those of the view; 0: the conditional sees the label
            or the vector itself, the same at all positions.
          train_only: the submodel that is trained; "" for both.

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        condition, condition_size = self.condition_kind, self.condition_size
        own = {"dtype": self.dtype_policy}
        self.prior = make_submodel(
            prior,
            "prior",
            note=f" (of the {self.terms[0]} of {self.image_shape[0]}x{self.image_shape[1]})",
            **_arguments(view),
            condition=condition,
            condition_size=condition_size,
            **own,
        )
        self.embedding = embedding
        self.condition_map = None
        if condition is not None:
            self.condition_map = Condition(
                condition,
                condition_size,
                *rest.shape[:2],
                spatial_features=spatial_features,
                name="condition",
                **own,
            )
        elif condition_size or spatial_features:
            raise ValueError(
                f"condition_size ({condition_size}) and spatial_features ({spatial_features}) need "
                "a condition: set condition to 'label' or 'vector'."
            )
        maps = 0 if self.condition_map is None else self.condition_map.output_features
        self.conditional = make_submodel(
            conditional,
            "conditional",
            **_arguments(rest),
            condition="spatial",
            condition_size=embedding.features + maps,
            **own,
        )
        if self.prior.train_only and train_only != "prior":
            raise ValueError(
                f"prior.train_only={self.prior.train_only!r} needs train_only='prior', got "
                f"{train_only!r}."
            )
        self.set_train_only(train_only)

    # What a family says of its images.

    @abc.abstractmethod
    def parts_of(self, images: Array) -> tuple[tf.Tensor, tf.Tensor]:
        """The views of images, and the rest, integers [N, h, w, C] each."""

    @abc.abstractmethod
    def whole(self, view: tf.Tensor, rest: tf.Tensor) -> tf.Tensor:
        """The images of these parts."""

    @abc.abstractmethod
    def shown(self, view: Array) -> tf.Tensor:
        """A view as the embedding takes it."""

    def layers_by_submodel(self) -> dict[str, list]:
        """See `TrainedApart`."""
        given_view = [self.embedding, self.condition_map, self.conditional]
        given_view = [layer for layer in given_view if layer is not None]
        return {"prior": [self.prior], "conditional": given_view}

    @property
    def initialised_by_data(self) -> bool:
        """See `Trainable`."""
        return (
            isinstance(self.embedding, ViewEmbedding)
            or self.prior.initialised_by_data
            or self.conditional.initialised_by_data
        )

    @property
    def remat(self) -> bool:
        """See `Trainable`."""
        return self.conditional.remat

    @remat.setter
    def remat(self, value: bool) -> None:
        self.prior.remat = self.conditional.remat = value

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights; `input_shape` is ignored, Keras passes it."""
        self.prior.build((None, *self.prior.image_shape))
        self.embedding.build((None, *self.prior.image_shape))
        if self.condition_map is not None:
            self.condition_map.build((None, self.condition_size))
        self.conditional.build((None, *self.conditional.image_shape))
        self.built = True

    def call(
        self, images: Array, condition: Array | None = None, training: bool = False
    ) -> tf.Tensor:
        """The terms of the bound, see `log_prob_terms_of`; checked as by an exact model."""
        return self.log_prob_terms_of(*self.checked(images, condition), training)

    def log_prob_terms_of(
        self, images: Array, condition: Array | None = None, training: bool = False
    ) -> tf.Tensor:
        """See `LikelihoodModel`: of the view, and of the rest given it; nats float64 [N, 2]."""
        view, rest = self.parts_of(images)
        terms = [
            self.prior.log_prob_terms_of(view, condition, training),
            self.conditional.log_prob_terms_of(rest, self.maps(view, condition), training),
        ]
        return tf.stack([tf.reduce_sum(term, axis=1) for term in terms], axis=1)

    def trained_log_prob_of(
        self, images: Array, condition: Array | None, training: bool
    ) -> tf.Tensor:
        """See `LikelihoodModel`; with `train_only` that of one submodel."""
        (view, rest), terms = self.parts_of(images), []
        if self.train_only != "conditional":
            terms.append(self.prior.trained_log_prob_of(view, condition, training))
        if self.train_only != "prior":
            maps = self.maps(view, condition)
            terms.append(self.conditional.trained_log_prob_of(rest, maps, training))
        return tf.add_n(terms)

    @property
    def trained_term(self) -> str:
        """See `DensityModel`."""
        return self.terms[self.submodels.index(self.train_only)] if self.train_only else ""

    @property
    def untrained(self) -> str:
        """The submodel that nobody has trained, such as "prior" or "prior.conditional"; or ""."""
        if self.train_only:
            return super().untrained
        below = self.prior.untrained
        return below and f"prior.{below}"

    @property
    def remedy(self) -> str:
        """Advice about a submodel that nobody has trained."""
        if self.untrained.endswith("prior"):
            return "give the run that trained it by --prior"
        return "give this run by --prior, and by --workdir the one of the conditional"

    def take_prior(self, other: "TwoStageModel") -> None:
        """Takes the prior of a model whose `train_only` is "prior": of submodels trained apart.

        Args:
          other: a model of the same kind whose prior has the same architecture.

        Raises:
          ValueError: the prior does not fit or was not trained, or this model needs none.
        """
        if self.train_only == "prior":
            raise ValueError("its conditional was not trained (train_only='prior').")
        if other.train_only == "conditional":
            raise ValueError("the prior was not trained (train_only='conditional').")
        own, wanted = _architecture(other.prior), _architecture(self.prior)
        different = [key for key in wanted if key not in own or own[key] != wanted[key]]
        if different or own.keys() != wanted.keys():
            raise ValueError(f"the priors differ in {', '.join(different) or 'their families'}.")
        self.prior.set_weights(other.prior.get_weights())
        self.train_only = ""
        if isinstance(self.prior, TwoStageModel):
            self.prior.train_only = other.prior.train_only

    def maps(self, view: Array, condition: Array | None = None) -> tf.Tensor:
        """The condition of the conditional.

        Args:
          view: integers [N, h, w, C], of the prior or made by `transform`.
          condition: what this model is conditioned on, or None.

        Returns:
          Float [N, H, W, D].
        """
        maps = self.embedding(self.shown(view))
        if self.condition_map is None:
            return maps
        h = self.condition_map(condition)
        h = tf.broadcast_to(h, [tf.shape(maps)[0], *maps.shape[1:3], h.shape[-1]])
        return tf.concat([maps, h], axis=-1)

    @property
    def methods(self) -> tuple[str, ...]:
        """See `DensityModel`: of one of the submodels at least, the other draws by pixels."""
        found = {*self.prior.methods, *self.conditional.methods}
        return tuple(method for method in METHODS if method in found)

    @property
    def draws_logistics(self) -> bool:
        """See `DensityModel`: in one of the submodels at least, the other draws as it is."""
        return self.prior.draws_logistics or self.conditional.draws_logistics

    @property
    def draws_categories(self) -> bool:
        """See `DensityModel`: in both submodels."""
        return self.prior.draws_categories and self.conditional.draws_categories

    def draw(self, request: Request) -> list[tf.Tensor]:
        """See `DensityModel`: views, the simplest first, and the images."""
        example_seeds = tf.cast(request.example_seeds, tf.int64)
        of_prior = request._replace(example_seeds=example_seeds + FAR)
        of_image = request._replace(example_seeds=example_seeds, stage=None)
        if request.given is not None:
            given, known = self.parts_of(request.given), self.parts_of(request.known)
            of_prior = of_prior._replace(given=given[0], known=known[0])
            of_image = of_image._replace(given=given[1], known=known[1])
        stages = [request.stage]
        if request.stage is None or tuple(request.stage.shape[1:]) != self.prior.image_shape:
            stages = self.prior.draw(of_prior)
        of_image = of_image._replace(condition=self.maps(stages[-1], request.condition))
        return [*stages, self.whole(stages[-1], self.conditional.draw(of_image)[-1])]

    @property
    def stages(self) -> list[ImageSpec]:
        """See `DensityModel`: views, the simplest first, then the image."""
        return [*self.prior.stages, self.image_spec]

    def check_stage(self, view: Array) -> tf.Tensor:
        """See `DensityModel.sample_stages`: integers [N, h, w, C] of the shape of a view."""
        view = as_array("view", view)
        views = self.stages[:-1]
        for spec in views:
            if tuple(np.shape(view)[1:]) == spec.shape:
                return spec.check(view)
        wanted = " or ".join(f"[N, {', '.join(map(str, s.shape))}]" for s in reversed(views))
        raise ValueError(f"a view must have the shape {wanted}, got {list(np.shape(view))}.")

    def get_config(self) -> dict:
        """See `Trainable`; `take_prior` may have changed what is trained alone."""
        config = super().get_config()
        if isinstance(self.prior, TwoStageModel):
            config["prior"] = config["prior"] | {"train_only": self.prior.train_only}
        return config


def _architecture(model):
    """Meaning of a model's weights: its family and configuration but for training."""

    def without(config):
        if not isinstance(config, dict):
            return config
        free = ("name", "dtype", "dropout", "train_only", "train_encoder")
        return {key: without(value) for key, value in config.items() if key not in free}

    return {"family": type(model).__name__, **without(model.get_config())}


def _arguments(spec):
    """What a submodel is told of its images; values only where they have no order."""
    values = {"values": spec.values} if spec.is_categorical else {}
    return {"image_shape": spec.shape, "levels": spec.levels, **values}
