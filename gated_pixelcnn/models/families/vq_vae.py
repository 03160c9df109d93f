"""VQ-VAE: an image as a map of discrete codes, and pixels independent of each other given them.

Source: "Neural Discrete Representation Learning" (van den Oord et al., 2017). With the encoder's
vectors z, their codes c (`layers.VectorQuantizer`) and sg for "no gradient",

    objective = log p(x | c) + log p(c) − β‖z − sg[e_c]‖²

The codes of an image are a function of it, so log p(x) ≥ log p(x | c) + log p(c): a lower bound,
which is what is reported; the commitment to the codebook is of training only. As long as no prior
of codes is trained, p(c) is uniform: log K nats for each code.

Deviations from the paper:
- log p(x | c) is that of one of `likelihoods` by pixel, by default a discretized logistic, whose
  mean and scale the decoder gives; the paper has the squared error, which is no probability of an
  image of integers;
- the squared norm is the mean over all numbers of z, times the number of values of an image, as
  in the authors' code, whose other term is a mean over these;
- dead codes begin anew, see `layers.VectorQuantizer`.
"""

import functools
import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from gated_pixelcnn import graph_checks, likelihoods, sampling
from gated_pixelcnn.layers import CodeDecoder, CodeEncoder, VectorQuantizer
from gated_pixelcnn.models.capabilities import Part
from gated_pixelcnn.models.density_model import LEAST_TEMPERATURE, Request
from gated_pixelcnn.models.likelihood_model import LikelihoodModel
from gated_pixelcnn.models.registry import register
from gated_pixelcnn.sampling import SamplingOptions
from gated_pixelcnn.spec import (
    Array,
    ConditionSpec,
    ImageSpec,
    Shape,
    as_array,
    bits_per_dim,
    check_integer,
)

FAR = 2**32  # example seeds of codes: farther than any that a user can name (int32)


@register("vq_vae")
class VQVAE(LikelihoodModel):
    """Images [N, H, W, C] → codes 0…K−1 [N, h, w] → images.

    Attributes:
      codes: K, the number of entries of the codebook.
      codes_shape: (h, w).
      code_encoder, quantizer, code_decoder: the layers.
      likelihood: the `likelihoods.Likelihood` of a pixel.
    """

    is_lower_bound = True
    completes = False
    terms = ("image given codes", "codes")
    loss_name = "objective"

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 256,
        codes: int = 512,
        code_features: int = 64,
        features: int = 128,
        blocks: int = 2,
        block_features: int = 32,
        halvings: int = 2,
        decay: float = 0.99,
        commitment: float = 0.25,
        restart_below: float = 0.03,
        likelihood: str = "logistic",
        components: int = 10,
        condition_size: int = 0,
        **kwargs: Any,
    ) -> None:
        """Makes the model.

        Args:
          image_shape: (H, W, C) of the images.
          levels: number of values per colour, 2…65,536.
          codes: K, the number of entries of the codebook.
          code_features: D, the numbers of an entry.
          features: maps of the encoder and of the decoder.
          blocks: number of residual blocks of each.
          block_features: maps inside of a block.
          halvings: there are H / 2^halvings rows and W / 2^halvings columns of codes.
          decay: γ of the moving averages that train the codebook.
          commitment: β.
          restart_below: see `layers.VectorQuantizer`.
          likelihood: of a pixel given the codes: "logistic", "mixture", "bernoulli", "independent"
            or "categorical" (the same, as the decoder sees no colours).
          components: number of components of a mixture.
          condition_size: 0, as there is no condition.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(**kwargs)
        if condition_size:
            raise ValueError(f"this family takes no condition, got condition_size={condition_size}")
        if not 0 <= commitment < math.inf:
            raise ValueError(f"commitment must be at least 0 and finite, got {commitment}.")
        self.image_spec = ImageSpec(image_shape, levels)
        self.condition_spec = ConditionSpec(0, self.image_spec)
        height, width, channels = self.image_shape
        check_integer("halvings", halvings, 1)
        if height % 2**halvings or width % 2**halvings:
            raise ValueError(
                f"images of {height}x{width} (height x width) cannot be halved {halvings} times; "
                "set fewer halvings, or bring images to another size by data.image_size."
            )
        self.codes, self.codes_shape = codes, (height >> halvings, width >> halvings)
        self.commitment = commitment
        self.likelihood = likelihoods.get(likelihood, channels, levels, components)
        own = {"dtype": self.dtype_policy}
        networks = (features, blocks, block_features, halvings)
        self.quantizer = VectorQuantizer(
            codes, code_features, decay, restart_below, name="quantizer", **own
        )
        self.code_encoder = CodeEncoder(code_features, *networks, name="encoder", **own)
        self.code_decoder = CodeDecoder(
            self.likelihood.parameters_per_pixel, *networks, name="decoder", **own
        )

    def compute_output_shape(self, input_shape: Any = None) -> Shape:
        """Returns the shape of the terms, for `summary`."""
        return (None, len(self.terms))

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights; `input_shape` is ignored, Keras passes it."""
        vectors = (None, *self.codes_shape, self.quantizer.features)
        self.code_encoder.build((None, *self.image_shape))
        self.quantizer.build(vectors)
        self.code_decoder.build(vectors)
        self.built = True

    # Codes, see `capabilities.HasCodes`.

    def encode(self, images: Array) -> tf.Tensor:
        """The codes of images.

        Args:
          images: integers 0…levels−1 [N, H, W, C].

        Returns:
          int32 0…K−1 [N, h, w].

        Raises:
          ValueError: images that do not fit the model.
        """
        return self._encode_graph(self.checked_images(images))

    def encode_of(self, images: Array) -> tf.Tensor:
        """`encode` without checks, for use inside a graph."""
        return self.quantizer.nearest(self.code_encoder(self.scale(images)))

    def decode(
        self,
        codes: Array,
        most_probable: bool = True,
        seed: int | Array = 0,
        example_seeds: int | Array = 0,
    ) -> tf.Tensor:
        """Images of codes.

        Args:
          codes: integers 0…K−1 [N, h, w].
          most_probable: whether every value is the most probable one given the codes (of a
            logistic its mean); otherwise images are drawn.
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

    def parameters_given(self, codes: Array) -> tf.Tensor:
        """The parameter map of the likelihood given codes [N, h, w], see `Likelihood`."""
        return self._parameters(self.quantizer.look_up(codes))

    def _parameters(self, vectors):
        return self.likelihood.parameters(self.code_decoder(vectors))

    def code_log_prob(self, codes: Array) -> tf.Tensor:
        """Nats log p(c) of codes [N, h, w], float64 [N]: that of the uniform prior."""
        nats = -math.prod(self.codes_shape) * math.log(self.codes)
        return tf.fill([tf.shape(codes)[0]], tf.constant(nats, tf.float64))

    def fingerprint(self) -> str:
        """A checksum of all that codes depend on, and what is made of them: 16 hexadecimal digits.

        Codes that were kept are those of this model if it is the same. Averages that only training
        needs are not part of it.
        """
        self.prepare()
        sizes = (self.image_shape, self.levels, self.codes, self.likelihood)
        checksum = hashlib.blake2b(repr(sizes).encode(), digest_size=8)
        layers = (self.code_encoder, self.code_decoder)
        for weight in (*(w for x in layers for w in x.weights), self.quantizer.codebook):
            checksum.update(repr(tuple(weight.shape)).encode())
            checksum.update(np.ascontiguousarray(weight, "<f4").tobytes())
        return checksum.hexdigest()

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
        codes = self.encode_of(images)
        return self._terms(images, codes, self.parameters_given(codes))

    def image_log_prob(self, images: Array, codes: Array) -> tf.Tensor:
        """Nats log p(x | c) of images given codes [N, h, w], float64 [N]."""
        return self._image_log_prob(images, self.parameters_given(codes))

    def _image_log_prob(self, images, parameters):
        nats = tf.cast(self.likelihood.log_prob(parameters, images), tf.float64)
        return tf.reduce_sum(nats, axis=[1, 2, 3])

    def _terms(self, images, codes, parameters):
        nats = self._image_log_prob(images, parameters)
        return tf.stack([nats, self.code_log_prob(codes)], axis=1)

    # Training.

    def _pass(self, images):
        """Minus the objective in bits/dim [N], vectors z [N, h, w, D] and codes."""
        z = self.code_encoder(self.scale(images))
        vectors, codes = self.quantizer(z)
        terms = self._terms(images, codes, self._parameters(vectors))
        distance = tf.square(z - tf.stop_gradient(tf.cast(self.quantizer.look_up(codes), z.dtype)))
        distance = tf.cast(tf.reduce_mean(distance, axis=[1, 2, 3]), tf.float64)
        nats = self.commitment * math.prod(self.image_shape) * distance
        nats -= tf.reduce_sum(terms, axis=1)
        return tf.cast(bits_per_dim(nats, self.image_shape), tf.float32), z, codes

    def training_loss_of(self, images: Array, condition: Array | None, training: bool) -> tf.Tensor:
        """Minus the objective in bits/dim of every image [N]."""
        return self._pass(images)[0]

    @property
    def sum_shapes(self) -> list:
        """See `LearnsByAverages`."""
        codebook = (self.codes, self.quantizer.features)
        return [codebook[:1], codebook, codebook]

    def training_loss_and_sums_of(
        self, images: Array, condition: Array | None, part: Part
    ) -> tuple[tf.Tensor, list]:
        """See `LearnsByAverages`: what the codebook is trained by."""
        losses, z, codes = self._pass(images)
        each = math.prod(self.codes_shape)
        z = tf.reshape(z, [-1, self.quantizer.features])
        place = (part.step, part.first * each, part.total * each)
        return losses, self.quantizer.batch_sums(z, tf.reshape(codes, [-1]), *place)

    def take_sums(self, sums: list, when: bool | tf.Tensor = True) -> None:
        """See `LearnsByAverages`."""
        self.quantizer.update(sums, when)

    # What codes are used.

    @functools.cached_property
    def code_sums(self) -> Callable[[tf.Tensor, tf.Tensor], tuple]:
        """Function (images, 1.0 or 0.0 for each) → how often each code is used [K]; Σ ‖z − e‖²/D.

        The latter is the sum over the codes of the squared distance per number of z. Float64.
        """

        def sums(images, counted):
            z = self.code_encoder(self.scale(images))
            codes = self.quantizer.nearest(z)
            weights = tf.repeat(counted, math.prod(self.codes_shape))
            sizes = {"minlength": self.codes, "maxlength": self.codes}
            used = tf.math.bincount(tf.reshape(codes, [-1]), weights, **sizes, dtype=tf.float64)
            distance = tf.square(z - tf.cast(self.quantizer.look_up(codes), z.dtype))
            distance = tf.reduce_sum(tf.reduce_mean(distance, axis=-1), axis=[1, 2])
            return used, tf.tensordot(counted, tf.cast(distance, tf.float64), 1)

        return tf.function(sums, reduce_retracing=True, autograph=False)

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
        """See `DensityModel.sample_stages`: codes of each image, integers 0…K−1 [N, h, w]."""
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
        """Codes from the uniform prior, int32 [N, h, w]."""
        example_seeds = tf.cast(request.example_seeds, tf.int64) + FAR
        noise = sampling.uniform_noise(request.seed, example_seeds, self.codes_shape)
        return tf.cast(noise * self.codes, tf.int32)

    @functools.cached_property
    def _encode_graph(self):
        return tf.function(self.encode_of, reduce_retracing=True, autograph=False)

    @functools.cached_property
    def _decode_graph(self):
        return tf.function(self.decode_of, reduce_retracing=True, autograph=False)
