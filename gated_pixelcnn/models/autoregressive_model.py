"""The base class of every density model of the family (AutoregressiveModel): what they share.

A density model is a Keras model over integer images x [N, H, W, C] with values 0…levels−1, which
factorises p(x | condition) over values in the order (row, column, colour). A family gives

- `parameter_map`: the parameters of the likelihood at all positions in one parallel pass;
- `cached_decoder`: the same network as a `sampling.CachedDecoder`, one row and one pixel at a time.

Everything else is here, in `density_model` or in `likelihood_model`, once.
"""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from gated_pixelcnn import likelihoods, sampling
from gated_pixelcnn.layers import Categories, Condition, Encoder
from gated_pixelcnn.layers.categories import IN_PARTS
from gated_pixelcnn.limits import METHODS
from gated_pixelcnn.models.likelihood_model import LikelihoodModel
from gated_pixelcnn.models.request import Request
from gated_pixelcnn.models.trainable import check_remat
from gated_pixelcnn.sampling import CachedDecoder
from gated_pixelcnn.spec import CATEGORICAL, ORDERED, Array, ImageSpec, Shape, condition_spec


class AutoregressiveModel(LikelihoodModel):
    """Base class of the families.

    Attributes:
      likelihood: the `likelihoods.Likelihood` that gives the parameter map its meaning.
      categories: the vectors of categorical values, or None.
      encoder: what makes the code of an image condition, or None.
      remat: whether the backward pass computes the inside of blocks again, see `rematerialised`.
      has_whole_rows: whether its `CachedDecoder` runs all pixels of a row at once.
    """

    has_whole_rows = False

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 256,
        likelihood: str = "categorical",
        components: int = 10,
        values: str = ORDERED,
        embedding_size: int = 64,
        tied: bool = False,
        condition: str | None = None,
        condition_size: int = 0,
        condition_names: Sequence[str] = (),
        spatial_features: int = 0,
        code_size: int = 0,
        encoder_features: int = 100,
        normalised_code: bool = False,
        train_encoder: bool = True,
        **kwargs: Any,
    ) -> None:
        """Makes what all families share.

        Args:
          image_shape: (H, W, C) of the images, each at least 1.
          levels: number of values per colour, 2…65,536.
          likelihood: "bernoulli", "categorical", "independent", "logistic" or "mixture".
          components: number of mixture components.
          values: "ordered", such as brightness, or "categorical", such as codes or tiles, whose
            numbers say nothing: they enter by learned vectors, see `Categories`, and the likelihood
            is "categorical" or "independent".
          embedding_size: entries of the vectors of categorical values.
          tied: whether categorical values are predicted by the vectors by which they enter.
          condition: None, "label", "vector", "spatial" or "image".
          condition_size: number of classes, length of the vector or number of maps.
          condition_names: names of the classes in the order of the labels, or of the entries of
            the vector or maps, if they are known.
          spatial_features: maps of the deconvolutional m(h) that makes a label, vector or code
            depend on the location; 0 for none.
          code_size: m, the numbers that an image condition becomes.
          encoder_features: see `Encoder`, which makes them.
          normalised_code: whether codes have unit length, as those of an `Embedding` have.
          train_encoder: whether the encoder is trained; else it stays what it is at the start.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(**kwargs)
        self.image_spec = ImageSpec(image_shape, levels, values)
        image_shape = self.image_shape
        self.likelihood = likelihoods.get(likelihood, image_shape[-1], levels, components)
        size = code_size if condition == "image" else condition_size
        self.condition_spec = condition_spec(condition, size, self.image_spec, condition_names)
        self.encoder = self.condition_map = self.categories = None
        own = {"dtype": self.dtype_policy}
        if values == CATEGORICAL:
            if not self.likelihood.is_categorical:
                raise ValueError(
                    "values='categorical' needs likelihood='categorical' or 'independent', got "
                    f"{likelihood!r}."
                )
            if condition == "image":
                raise ValueError("a condition of kind 'image' needs values='ordered'.")
            self.categories = Categories(
                levels, image_shape[-1], embedding_size, tied, name="categories", **own
            )
        elif tied:
            raise ValueError("tied needs values='categorical'.")
        if condition == "image":
            self.encoder = Encoder(
                code_size, encoder_features, normalised_code, name="encoder", **own
            )
            self.encoder.trainable = train_encoder
        elif code_size:
            raise ValueError(f"code_size ({code_size}) needs a condition of kind 'image'.")
        if condition is not None:
            self.condition_map = Condition(
                "vector" if condition == "image" else condition,
                self.condition_size,
                *image_shape[:2],
                spatial_features=spatial_features,
                name="condition",
                **own,
            )
        elif condition_size or spatial_features:
            raise ValueError(
                f"condition_size ({condition_size}) and spatial_features ({spatial_features}) need "
                "a condition: set condition to 'label', 'vector', 'spatial' or 'image'."
            )

    # What a family gives.

    @abc.abstractmethod
    def parameter_map(self, x: Array, condition: Array | None, training: bool = False) -> tf.Tensor:
        """The network in one parallel pass.

        Args:
          x: images as the network sees them [N, H, W, input_features], see `network_input`.
          condition: output of `condition_map` or None.
          training: whether dropout and the like are on.

        Returns:
          Raw outputs [N, H, W, output_features], see `raw_parameters`.
        """

    @abc.abstractmethod
    def cached_decoder(self, num: int | tf.Tensor, condition: Array | None) -> CachedDecoder:
        """The same network and weights as a `sampling.CachedDecoder`.

        Args:
          num: number of images N, a scalar tensor.
          condition: output of `condition_map` or None.

        Returns:
          The decoder.
        """

    # What the package computes with.

    @property
    def colours(self) -> int:
        """Number of colour groups: 1 where a pixel's colours share their parameters."""
        return 1 if self.likelihood.colours_share_parameters else self.image_shape[-1]

    @property
    def input_features(self) -> int:
        """Number of features that the network sees of a pixel, as many of each colour."""
        return self.image_shape[-1] * (1 if self.categories is None else self.categories.size)

    @property
    def output_features(self) -> int:
        """Number of features that the network gives for a pixel."""
        if self.categories is not None:
            return self.input_features
        return self.likelihood.parameters_per_pixel

    @property
    def logits_in_parts(self) -> bool:
        """Whether log-probabilities are computed without all logits at once, see `Categories`."""
        return self.categories is not None and self.levels > IN_PARTS

    def network_input(self, values: Array, colour: int = 0) -> tf.Tensor:
        """Values as the network sees them.

        Args:
          values: integers 0…levels−1 [..., n], of n colours.
          colour: the first of them.

        Returns:
          Scaled to −1…1 [..., n], or the vectors of categories [..., n·E].
        """
        if self.categories is None:
            return self.scale(values)
        return self.categories(values, channel=colour)

    def raw_parameters(self, outputs: tf.Tensor, colour: int = 0) -> tf.Tensor:
        """Outputs of the network as numbers that `Likelihood.parameters` takes.

        Args:
          outputs: [..., output_features], or the part of one colour.
          colour: the first colour that they are of.

        Returns:
          [..., parameters_per_pixel], or the part of one colour.
        """
        if self.categories is None:
            return outputs
        return self.categories.logits(outputs, colour)

    def call(
        self, images: Array, condition: Array | None = None, training: bool = False
    ) -> tf.Tensor:
        """The parameter map of the likelihood at all positions, in one parallel pass.

        Args:
          images: integers 0…levels−1 [N, H, W, C].
          condition: labels [N], vectors [N, D], maps [N, H, W, D], images or their codes [N, m];
            or None: no condition or, for a model conditioned on an image, the images themselves.
          training: whether dropout and the like are on.

        Returns:
          Parameters [N, H, W, C, …], or [N, H, W, …] where a pixel's colours share them. Those at a
          position depend on the values before it only.

        Raises:
          ValueError: images or a condition that do not fit the model: of another shape or type
            (numbers that are not integers, whatever their values), or out of range.
          tf.errors.InvalidArgumentError: the same of values inside a graph.
        """
        return self.parameters_for(*self.checked(images, condition), training)

    def parameters_for(
        self, images: Array, condition: Array | None = None, training: bool = False
    ) -> tf.Tensor:
        """`call` without checks, for use inside a graph."""
        outputs = self._outputs(images, condition, training)
        return self.likelihood.parameters(self.raw_parameters(outputs))

    def _outputs(self, images, condition, training):
        x, condition = self.network_input(images), self.map_condition(condition)
        return self.parameter_map(x, condition, training=training)

    def map_condition(self, condition: Array | None) -> tf.Tensor | None:
        """A condition as the maps [N, 1 or H, 1 or W, D] that layers project; None stays None."""
        if condition is None:
            return None
        if self.encoder is not None and len(condition.shape) == 4:
            condition = self.encoder(self.scale(condition))
        return self.condition_map(condition)

    def encode(self, images: Array) -> tf.Tensor:
        """The codes of images [N, H, W, C], float [N, m]: what an image condition becomes.

        Raises:
          ValueError: images that do not fit the model, or a model that has no encoder.
        """
        if self.encoder is None:
            raise ValueError("this model has no encoder: it is not conditioned on an image.")
        return self.encoder(self.scale(self.checked_images(images)))

    def rematerialised(self, block: Callable) -> Callable:
        """A block as a family's `parameter_map` should call it.

        Args:
          block: a layer from tensors, or None in the place of some, to a tuple of the same kind.

        Returns:
          The block; if `remat`, one of which only inputs and outputs are kept for the backward
          pass. That computes the inside again, one block at a time (gradient checkpointing).

        Raises:
          ValueError: this model has dropout.
        """
        if not self.remat:
            return block
        check_remat(self)

        def call(*inputs):
            present = []  # which of the outputs are not None: TensorFlow wants tensors only

            @tf.recompute_grad
            def run(*tensors):
                tensors = iter(tensors)
                outputs = block(*(x if x is None else next(tensors) for x in inputs))
                present[:] = [y is not None for y in outputs]
                return [y for y in outputs if y is not None]

            tensors = iter(run(*(x for x in inputs if x is not None)))
            return tuple(next(tensors) if there else None for there in present)

        return call

    # The hooks of `DensityModel`.

    def value_log_prob_of(
        self, images: Array, condition: Array | None = None, training: bool = False
    ) -> tf.Tensor:
        """See `DensityModel`."""
        outputs = self._outputs(images, condition, training)
        if self.logits_in_parts:
            return self.categories.log_prob(outputs, images)
        parameters = self.likelihood.parameters(self.raw_parameters(outputs))
        return self.likelihood.log_prob(parameters, images)

    def log_prob_terms_of(
        self, images: Array, condition: Array | None = None, training: bool = False
    ) -> tf.Tensor:
        """See `DensityModel`: one term for each colour."""
        return of_colours(self.value_log_prob_of(images, condition, training))

    @property
    def methods(self) -> tuple[str, ...]:
        """See `DensityModel`."""
        return tuple(method for method in METHODS if method != "rows" or self.has_whole_rows)

    @property
    def draws_logistics(self) -> bool:
        """See `DensityModel`."""
        return self.likelihood.is_logistic

    @property
    def draws_categories(self) -> bool:
        """See `DensityModel`."""
        return self.likelihood.is_categorical

    def draw(self, request: Request) -> list[tf.Tensor]:
        """See `DensityModel`: in one stage."""
        noise = sampling.noise(request.seed, request.example_seeds, self)
        method = request.method if request.method in self.methods else "pixels"
        how = request.options, request.given, request.known, request.jit, method
        return [sampling.sample(self, noise, request.condition, *how)]

    # Keras.

    def compute_output_shape(self, input_shape: Any = None) -> Shape:
        """Returns the shape of the raw parameter map, for `summary`."""
        return (None, *self.image_shape[:2], self.output_features)

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights; a family extends it. They depend on the constructor's arguments only.

        Args:
          input_shape: ignored; Keras passes it.
        """
        if self.categories is not None:
            self.categories.build()
        if self.encoder is not None:
            self.encoder.build((None, *self.image_shape))
        if self.condition_map is not None:
            self.condition_map.build((None, self.condition_size))
        self.built = True


def of_colours(values):
    """Sums nats [N, H, W, C] to those of the colours, float64 [N, C]."""
    return tf.reduce_sum(tf.cast(values, tf.float64), axis=[1, 2])
