"""Base of models of images by discrete codes: a code is a function of the image, and tells pixels.

Pixels are independent of each other given the codes c of an image x, so

    log p(x) ≥ log p(x | c) + log p(c)

with the uniform prior of codes, as long as none is trained, see `families.vq_prior`.
"""

import abc
import functools
import math

import tensorflow as tf

from gated_pixelcnn import graph_checks, sampling
from gated_pixelcnn.likelihoods import Likelihood
from gated_pixelcnn.limits import LEAST_TEMPERATURE
from gated_pixelcnn.models.likelihood_model import LikelihoodModel
from gated_pixelcnn.models.request import Request
from gated_pixelcnn.sampling import SamplingOptions
from gated_pixelcnn.spec import Array, ImageSpec, Shape, as_array

FAR = 2**32  # example seeds of codes: farther than any that a user can name (int32)


class CodeModel(LikelihoodModel):
    """Images [N, H, W, C] → codes 0…K−1 → images; see `capabilities.HasCodes`.

    Attributes:
      codes: K, how many codes there are.
      codes_shape: of the codes of an image: (h, w); (h, w, 5) of two maps, see `pack_codes`.
      likelihood: the `likelihoods.Likelihood` of a pixel.
    """

    is_lower_bound = True
    completes = False
    terms = ("image given codes", "codes")

    codes: int
    codes_shape: Shape
    likelihood: Likelihood

    # What a family says.

    @abc.abstractmethod
    def encode_of(self, images: Array) -> tf.Tensor:
        """`encode` without checks, for use inside a graph."""

    @abc.abstractmethod
    def codes_and_log_prob_of(self, images: Array) -> tuple[tf.Tensor, tf.Tensor]:
        """Codes of images, and nats log p(x | c), float64 [N]; for use inside a graph."""

    @abc.abstractmethod
    def parameters_given(self, codes: Array) -> tf.Tensor:
        """The parameter map of the likelihood given codes, see `Likelihood`."""

    # Codes, see `capabilities.HasCodes`.

    @property
    def code_image_shape(self) -> Shape:
        """The shape of codes as images, whose values they are: (h, w, 1), or (h, w, 5)."""
        return (*self.codes_shape, 1)[:3]

    def encode(self, images: Array) -> tf.Tensor:
        """The codes of images.

        Args:
          images: integers 0…levels−1 [N, H, W, C].

        Returns:
          int32 0…K−1 [N, h, w], or [N, h, w, 5].

        Raises:
          ValueError: images that do not fit the model.
        """
        return self._encode_graph(self.checked_images(images))

    def decode(
        self,
        codes: Array,
        most_probable: bool = True,
        seed: int | Array = 0,
        example_seeds: int | Array = 0,
    ) -> tf.Tensor:
        """Images of codes.

        Args:
          codes: integers 0…K−1 [N, h, w], or [N, h, w, 5].
          most_probable: whether every value is the most probable one given the codes (of a
            logistic its mean, of a mixture that of its largest component); otherwise images are
            drawn.
          seed: integer, see `sample`.
          example_seeds: integers [N], see `sample`.

        Returns:
          Integers [N, H, W, C].

        Raises:
          ValueError: codes that do not fit the model.
        """
        self.prepare()
        if not most_probable:
            how = {"seed": seed, "example_seeds": example_seeds, "jit": False}
            return self.sample_stages(stage=codes, **how)[-1]
        return self._decode_graph(self.check_stage(codes))

    def decode_of(self, codes: Array) -> tf.Tensor:
        """The most probable values given codes, without checks, for use inside a graph."""
        parameters = self.parameters_given(codes)
        shape = [tf.shape(codes)[0], *self.image_shape, self.likelihood.noise_per_value]
        how = SamplingOptions(LEAST_TEMPERATURE)
        middle = tf.fill(shape, 0.5)
        return sampling.sample_independently(self.likelihood, parameters, middle, how)

    def code_log_prob(self, codes: Array) -> tf.Tensor:
        """Nats log p(c) of codes, float64 [N]: that of the uniform prior."""
        nats = -math.prod(self.codes_shape) * math.log(self.codes)
        return tf.fill([tf.shape(codes)[0]], tf.constant(nats, tf.float64))

    # The bound.

    def call(
        self, images: Array, condition: Array | None = None, training: bool = False
    ) -> tf.Tensor:
        """The terms of the bound, see `log_prob_terms_of`; checked as by an exact model."""
        return self.log_prob_terms_of(*self.checked(images, condition), training)

    def log_prob_terms_of(
        self, images: Array, condition: Array | None = None, training: bool = False
    ) -> tf.Tensor:
        """See `LikelihoodModel`: log p(x | c) and log p(c), nats float64 [N, 2]."""
        codes, nats = self.codes_and_log_prob_of(images)
        return tf.stack([nats, self.code_log_prob(codes)], axis=1)

    def image_log_prob(self, images: Array, codes: Array) -> tf.Tensor:
        """Nats log p(x | c) of images given codes, float64 [N]."""
        return self.log_prob_given(images, self.parameters_given(codes))

    def log_prob_given(self, images: Array, parameters: tf.Tensor) -> tf.Tensor:
        """The same by the parameters that codes give."""
        nats = tf.cast(self.likelihood.log_prob(parameters, images), tf.float64)
        return tf.reduce_sum(nats, axis=[1, 2, 3])

    # Samples.

    @property
    def draws_logistics(self) -> bool:
        """See `DensityModel`."""
        return self.likelihood.is_logistic

    @property
    def draws_categories(self) -> bool:
        """See `DensityModel`."""
        return self.likelihood.is_categorical

    @property
    def stages(self) -> list[ImageSpec]:
        """See `DensityModel`: the most probable image given the codes, then the image."""
        return [self.image_spec, self.image_spec]

    def check_stage(self, codes: Array) -> tf.Tensor:
        """See `DensityModel.sample_stages`: codes of each image, integers 0…K−1."""
        codes = as_array("codes", codes)
        if tuple(codes.shape[1:]) != self.codes_shape:
            raise ValueError(
                f"codes must have the shape {['N', *self.codes_shape]} of this model, got "
                f"{list(codes.shape)}."
            )
        if not tf.as_dtype(codes.dtype).is_integer:
            raise ValueError(f"codes must be integers 0…{self.codes - 1}, got {codes.dtype}.")
        message = f"codes must be 0…{self.codes - 1}"
        return tf.cast(graph_checks.below(self.codes, message, codes), tf.int32)

    def draw(self, request: Request) -> list[tf.Tensor]:
        """See `DensityModel`: the most probable images given the codes, and drawn ones."""
        codes = request.stage
        if codes is None:
            codes = self.draw_codes(request)
        options = request.options
        shape = (*self.image_shape, self.likelihood.noise_per_value)
        noise = sampling.uniform_noise(request.seed, request.example_seeds, shape)
        parameters = self.parameters_given(codes)
        images = sampling.sample_independently(self.likelihood, parameters, noise, options)
        return [self.decode_of(codes), images]

    def draw_codes(self, request: Request) -> tf.Tensor:
        """Codes from the uniform prior, int32."""
        example_seeds = tf.cast(request.example_seeds, tf.int64) + FAR
        noise = sampling.uniform_noise(request.seed, example_seeds, self.codes_shape)
        return tf.cast(noise * self.codes, tf.int32)

    @functools.cached_property
    def _encode_graph(self):
        return tf.function(self.encode_of, reduce_retracing=True, autograph=False)

    @functools.cached_property
    def _decode_graph(self):
        return tf.function(self.decode_of, reduce_retracing=True, autograph=False)
