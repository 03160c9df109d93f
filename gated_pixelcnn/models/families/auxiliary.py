"""Two density models that share the work: one of a simpler view of an image, one of the rest.

p(x̂, x) = p(x̂) p(x | x̂) with x̂ = ψ(x), a deterministic view of the image. As other views may give
the same image, too, log p(x) ≥ log p(ψ(x)) + log p(x | ψ(x)): a lower bound, which is what is
trained and reported.

Sources:
- multi-scale: "Pixel Recurrent Neural Networks" (van den Oord et al., 2016a), section 3.5, and
  "Conditional Image Generation with PixelCNN Decoders" (2016b), the appendix: a class-conditional
  model of small images, and one of large images given the class and the deconvolved small image;
- the bound: "PixelCNN Models with Auxiliary Variables for Natural Image Modeling" (Kolesnikov and
  Lampert, 2017), equation 2; Grayscale PixelCNN (gray view) and Pyramid PixelCNN (half the size),
  with the embedding network f_w.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from gated_pixelcnn.errors import nearest
from gated_pixelcnn.layers import Condition, Upsampler, ViewEmbedding
from gated_pixelcnn.models.composite import TrainedApart, make_submodel
from gated_pixelcnn.models.density_model import Request
from gated_pixelcnn.models.likelihood_model import LikelihoodModel
from gated_pixelcnn.models.registry import register
from gated_pixelcnn.models.transforms import TRANSFORMS
from gated_pixelcnn.spec import Array, ImageSpec, as_array, condition_spec

PART = {"family": "gated_pixelcnn"}
FAR = 2**32  # example seeds of the prior: farther than any that a user can name (int32)


@register("auxiliary")
class AuxiliaryModel(TrainedApart, LikelihoodModel):
    """A prior of views ψ(x) and a conditional of images given their view.

    Attributes:
      transform: ψ, see `transforms`.
      prior: the density model of views, with the condition of this one.
      embedding: what makes maps of a view.
      conditional: the density model of images given these maps (a spatial condition), which hold
        the label or vector, too.
    """

    is_lower_bound = True
    completes = False
    submodels = ("prior", "conditional")  # in the order of the terms

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 256,
        transform: str = "half",
        prior: dict = PART,
        conditional: dict = PART,
        embedding: str = "deconvolution",
        embedding_features: int = 32,
        embedding_blocks: int = 3,
        embedding_scales: int = 2,
        condition: str | None = None,
        condition_size: int = 0,
        condition_names: Sequence[str] = (),
        spatial_features: int = 0,
        train_only: str = "",
        **kwargs: Any,
    ) -> None:
        """Makes the model.

        Args:
          image_shape: (H, W, C) of the images.
          levels: number of values per colour, 2…65,536.
          transform: name of ψ: "half" or "grayscale".
          prior: family of the prior and its arguments, without its condition.
          conditional: the same of the conditional.
          embedding: what makes maps of a view: "deconvolution" (`Upsampler`, of small views) or
            "resnet" (`ViewEmbedding`).
          embedding_features: maps that the conditional sees of a view.
          embedding_blocks: of "resnet", see `ViewEmbedding`.
          embedding_scales: of "resnet", see `ViewEmbedding`.
          condition: None, "label" or "vector", of both submodels.
          condition_size: number of classes or length of the vector.
          condition_names: names of the classes in the order of the labels, or of the entries of
            the vector, if they are known.
          spatial_features: maps of m(h) beside those of the view; 0: the conditional sees the label
            or the vector itself, the same at all positions. The prior has a setting of its own.
          train_only: "prior" or "conditional": only this submodel is trained, by its own term; "":
            both. They share no weight and may be trained at the same time, see `take_prior`. A
            prior that is of this kind, too, may have a `train_only` where this model has "prior";
            its validation then counts its untrained submodel as well, which adds a constant.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(**kwargs)
        if transform not in list(TRANSFORMS):
            raise ValueError(f"transform is {transform!r}{nearest(str(transform), TRANSFORMS)}.")
        if condition not in (None, "label", "vector"):
            raise ValueError(
                f"condition of an auxiliary model must be None, 'label' or 'vector', got "
                f"{condition!r}."
            )
        self.image_spec = ImageSpec(image_shape, levels)
        self.condition_spec = condition_spec(
            condition, condition_size, self.image_spec, condition_names
        )
        self.transform = TRANSFORMS[transform](self.image_shape, levels)
        self.terms = (self.transform.term, "image given it")
        own = {"dtype": self.dtype_policy}
        height, width, _ = self.image_shape
        self.prior = make_submodel(
            prior,
            "prior",
            note=f" (of the {self.transform.term} of {height}x{width})",
            image_shape=self.transform.image_shape,
            levels=self.transform.levels,
            condition=condition,
            condition_size=condition_size,
            **own,
        )
        self.embedding = _embedding(
            embedding,
            self.transform.halves,
            embedding_features,
            embedding_blocks,
            embedding_scales,
            **own,
        )
        self.condition_map = None
        if condition is not None:
            self.condition_map = Condition(
                condition,
                condition_size,
                *self.image_shape[:2],
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
            image_shape=self.image_shape,
            levels=levels,
            condition="spatial",
            condition_size=embedding_features + maps,
            **own,
        )
        if self.prior.train_only and train_only != "prior":
            raise ValueError(
                f"prior.train_only={self.prior.train_only!r} needs train_only='prior', got "
                f"{train_only!r}."
            )
        self.set_train_only(train_only)

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
        self.embedding.build((None, *self.transform.image_shape))
        if self.condition_map is not None:
            self.condition_map.build((None, self.condition_size))
        self.conditional.build((None, *self.image_shape))
        self.built = True

    def call(
        self, images: Array, condition: Array | None = None, training: bool = False
    ) -> tf.Tensor:
        """The terms of the bound, see `log_prob_terms_of`; checked as by an exact model."""
        return self.log_prob_terms_of(*self.checked(images, condition), training)

    def log_prob_terms_of(
        self, images: Array, condition: Array | None = None, training: bool = False
    ) -> tf.Tensor:
        """See `LikelihoodModel`: log p(ψ(x)) and log p(x | ψ(x)), nats float64 [N, 2]."""
        view = self.transform(images)
        terms = [
            self.prior.log_prob_terms_of(view, condition, training),
            self.conditional.log_prob_terms_of(images, self.maps(view, condition), training),
        ]
        return tf.stack([tf.reduce_sum(term, axis=1) for term in terms], axis=1)

    def trained_log_prob_of(
        self, images: Array, condition: Array | None, training: bool
    ) -> tf.Tensor:
        """See `LikelihoodModel`; with `train_only` that of one submodel."""
        view, terms = self.transform(images), []
        if self.train_only != "conditional":
            terms.append(self.prior.trained_log_prob_of(view, condition, training))
        if self.train_only != "prior":
            maps = self.maps(view, condition)
            terms.append(self.conditional.trained_log_prob_of(images, maps, training))
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

    def take_prior(self, other: "AuxiliaryModel") -> None:
        """Takes the prior of a model whose `train_only` is "prior": of submodels trained apart.

        Args:
          other: an auxiliary model whose prior has the same architecture.

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
        if isinstance(self.prior, AuxiliaryModel):
            self.prior.train_only = other.prior.train_only

    def maps(self, view: Array, condition: Array | None = None) -> tf.Tensor:
        """The condition of the conditional.

        Args:
          view: integers [N, h, w, C], of the prior or made by `transform`.
          condition: what this model is conditioned on, or None.

        Returns:
          Float [N, H, W, D].
        """
        maps = self.embedding(self.prior.scale(view))
        if self.condition_map is None:
            return maps
        h = self.condition_map(condition)
        h = tf.broadcast_to(h, [tf.shape(maps)[0], *self.image_shape[:2], h.shape[-1]])
        return tf.concat([maps, h], axis=-1)

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
        stages = [request.stage]
        if request.stage is None or tuple(request.stage.shape[1:]) != self.prior.image_shape:
            stages = self.prior.draw(request._replace(example_seeds=example_seeds + FAR))
        maps = self.maps(stages[-1], request.condition)
        of_image = request._replace(condition=maps, example_seeds=example_seeds, stage=None)
        return [*stages, *self.conditional.draw(of_image)]

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
        if isinstance(self.prior, AuxiliaryModel):
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


def _embedding(kind, halves, features, blocks, scales, **kwargs):
    """The layer that makes maps of a view, of the size of the image."""
    if kind == "resnet":
        return ViewEmbedding(features, blocks, scales, twice=halves, name="embedding", **kwargs)
    if kind == "deconvolution" and halves:
        return Upsampler(features, name="embedding", **kwargs)
    if kind == "deconvolution":
        raise ValueError(
            "embedding='deconvolution' is of views of half the size; this transform needs 'resnet'."
        )
    raise ValueError(f"embedding is {kind!r}{nearest(str(kind), ('deconvolution', 'resnet'))}.")
