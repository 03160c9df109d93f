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

import functools

import keras
import tensorflow as tf

from gated_pixelcnn.errors import nearest
from gated_pixelcnn.layers import Condition, Upsampler, ViewEmbedding
from gated_pixelcnn.models.likelihood_model import LikelihoodModel
from gated_pixelcnn.models.transforms import TRANSFORMS

PART = {"family": "gated_pixelcnn"}
FAR = 2**32  # random streams of the prior: farther than any that a user can name (int32)


@keras.saving.register_keras_serializable("gated_pixelcnn")
class AuxiliaryModel(LikelihoodModel):
    """A prior of views ψ(x) and a conditional of images given their view.

    Attributes:
      transform: ψ, see `transforms`.
      prior: the density model of views, with the condition of this one.
      embedding: what makes maps of a view.
      conditional: the density model of images given these maps (a spatial condition), which hold
        the label or vector, too.
    """

    is_lower_bound = True

    def __init__(
        self,
        image_shape,
        levels=256,
        transform="half",
        prior=PART,
        conditional=PART,
        embedding="deconvolution",
        embedding_features=32,
        embedding_blocks=3,
        embedding_scales=2,
        condition=None,
        condition_size=0,
        spatial_features=0,
        **kwargs,
    ):
        """Makes the model.

        Args:
          image_shape: (H, W, C) of the images.
          levels: number of values per colour, 2…256.
          transform: name of ψ: "half" or "gray".
          prior: family of the prior and its arguments, without its condition.
          conditional: the same of the conditional.
          embedding: what makes maps of a view: "deconvolution" (`Upsampler`, of small views) or
            "resnet" (`ViewEmbedding`).
          embedding_features: maps that the conditional sees of a view.
          embedding_blocks: of "resnet", see `ViewEmbedding`.
          embedding_scales: of "resnet", see `ViewEmbedding`.
          condition: None, "label" or "vector", of both parts.
          condition_size: number of classes or length of the vector.
          spatial_features: maps of m(h) beside those of the view; 0: the conditional sees the label
            or the vector itself, the same at all positions. The prior has a setting of its own.
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
        if len(image_shape) != 3:
            raise ValueError(f"image_shape must be (height, width, channels), got {image_shape}.")
        self.image_shape, self.levels = tuple(image_shape), levels
        self.condition_kind, self.condition_size = condition, condition_size
        self.transform = TRANSFORMS[transform](self.image_shape, levels)
        self.terms = (self.transform.term, "image given it")
        own = {"dtype": self.dtype_policy}
        self.prior = _part(
            prior,
            "prior",
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
        self.conditional = _part(
            conditional,
            "conditional",
            image_shape=self.image_shape,
            levels=levels,
            condition="spatial",
            condition_size=embedding_features + maps,
            **own,
        )
        self._config = {
            "image_shape": self.image_shape,
            "levels": levels,
            "transform": transform,
            "prior": dict(prior),
            "conditional": dict(conditional),
            "embedding": embedding,
            "embedding_features": embedding_features,
            "embedding_blocks": embedding_blocks,
            "embedding_scales": embedding_scales,
            "condition": condition,
            "condition_size": condition_size,
            "spatial_features": spatial_features,
        }

    @property
    def initialised_by_data(self):
        """See `Trainable`."""
        return (
            isinstance(self.embedding, ViewEmbedding)
            or self.prior.initialised_by_data
            or self.conditional.initialised_by_data
        )

    @property
    def remat(self):
        """See `Trainable`."""
        return self.conditional.remat

    @remat.setter
    def remat(self, value):
        self.prior.remat = self.conditional.remat = value

    def build(self, input_shape=None):
        """Makes all weights; `input_shape` is ignored, Keras passes it."""
        self.prior.build()
        self.embedding.build((None, *self.transform.image_shape))
        if self.condition_map is not None:
            self.condition_map.build()
        self.conditional.build()
        self.built = True

    def call(self, images, condition=None, training=False):
        """The terms of the bound, see `log_prob_parts_of`."""
        self.check_kind_of_images(images)
        self.check_kind_of_condition(condition, images.shape[0])
        return self.log_prob_parts_of(images, condition, training)

    def log_prob_parts_of(self, images, condition=None, training=False):
        """See `LikelihoodModel`: log p(ψ(x)) and log p(x | ψ(x)), nats float64 [N, 2]."""
        view = self.transform(images)
        terms = [
            self.prior.log_prob_parts_of(view, condition, training),
            self.conditional.log_prob_parts_of(images, self.maps(view, condition), training),
        ]
        return tf.stack([tf.reduce_sum(term, axis=1) for term in terms], axis=1)

    def maps(self, view, condition=None):
        """What the conditional is conditioned on.

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
    def draws_logistics(self):
        """See `DensityContract`: in one of the parts at least, the other draws as it is."""
        return self.prior.draws_logistics or self.conditional.draws_logistics

    def draw(self, seed, streams, condition, sharpness, given=None, known=None):
        """See `LikelihoodModel`; there is nothing `given`."""
        streams = tf.cast(streams, tf.int64)
        view = self.prior.draw(seed, streams + FAR, condition, sharpness)
        return self.conditional.draw(seed, streams, self.maps(view, condition), sharpness)

    def _log_prob_parts(self, images, condition):
        """See `DensityContract`."""
        return self._log_prob_parts_graph(images, condition)

    def _sample(self, num, condition, seed, sharpness, given, known, streams, jit):
        """See `DensityContract`."""
        streams = tf.cast(streams, tf.int64)
        how = (seed, sharpness, None, None)
        view = self.prior._sample(num, condition, *how, streams + FAR, jit)
        return self.conditional._sample(num, self._maps_graph(view, condition), *how, streams, jit)

    @functools.cached_property
    def _log_prob_parts_graph(self):
        return tf.function(self.log_prob_parts_of, reduce_retracing=True, autograph=False)

    @functools.cached_property
    def _maps_graph(self):
        return tf.function(self.maps, reduce_retracing=True, autograph=False)

    def get_config(self):
        """See `keras.Model.get_config`."""
        policy = keras.saving.serialize_keras_object(self.dtype_policy)
        return {"name": self.name, "dtype": policy, **self._config}


def _embedding(kind, halves, features, blocks, scales, **kwargs):
    """What makes maps of a view, of the size of the image."""
    if kind == "resnet":
        return ViewEmbedding(features, blocks, scales, twice=halves, name="embedding", **kwargs)
    if kind == "deconvolution" and halves:
        return Upsampler(features, name="embedding", **kwargs)
    if kind == "deconvolution":
        raise ValueError(
            "embedding='deconvolution' is of views of half the size; this transform needs 'resnet'."
        )
    raise ValueError(f"embedding is {kind!r}{nearest(str(kind), ('deconvolution', 'resnet'))}.")


def _part(part, name, **arguments):
    """A density model of a family and its arguments; a ValueError tells which part is wrong."""
    from gated_pixelcnn.families import FAMILIES  # which has this one, too

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
