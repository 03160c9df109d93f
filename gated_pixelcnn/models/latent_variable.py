"""Density models with latent variables z: what a variational autoencoder and AGAVE share.

    log p(x) ≥ E_q(z|x) [ log p(x | z) + log p(z) − log q(z | x) ],    p(z) a unit Gaussian

Sources: "Improving Variational Inference with Inverse Autoregressive Flow" (Kingma et al., 2016),
whose network and free bits these are (equation 15); "Importance Weighted Autoencoders" (Burda et
al., 2016), equation 8, for the bound of several draws. (They count active units by the variance of
the posterior's mean, which a flow does not tell; here it is by the KL divergence.)
"""

import abc
import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gated_pixelcnn import sampling
from gated_pixelcnn.errors import nearest
from gated_pixelcnn.layers import LatentNetwork
from gated_pixelcnn.likelihoods.logistic import (
    clamp_log_scale,
    discretized_logistic_log_prob,
    to_level,
)
from gated_pixelcnn.models.likelihood_model import LikelihoodModel
from gated_pixelcnn.models.request import Request, check_seed
from gated_pixelcnn.models.transforms import View
from gated_pixelcnn.spec import (
    Array,
    ConditionSpec,
    ImageSpec,
    as_array,
    bits_per_dim,
    check_integer,
    integer_type,
)

POSTERIORS = ("flow", "gaussian")
FAR = 2**32  # example seeds of z: farther than any that a user can name (int32)
ACTIVE = 0.01  # nats


class LatentVariableModel(LikelihoodModel):
    """A model of images with an inference network.

    `log_prob` draws z once. The numbers that it takes for this depend on the image only, so it is
    the same whenever and in whatever batch it is computed.

    Attributes:
      network: a `LatentNetwork`.
      view: the transform that makes of an image what f(z) predicts, see `transforms`.
    """

    is_lower_bound = True
    completes = False
    initialised_by_data = True
    draws_logistics = True
    terms = ("image given z", "KL divergence")
    uses_latents = True  # whether the image is drawn from z as the model is trained

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int,
        view: View,
        features: int = 160,
        blocks: int = 20,
        latents: int = 32,
        halvings: int = 1,
        posterior: str = "flow",
        free_bits: float = 0.1,
        condition_size: int = 0,
        **kwargs: Any,
    ) -> None:
        """Makes what all models with latent variables share.

        Args:
          image_shape: (H, W, C) of the images.
          levels: number of values per colour, 2…65,536.
          view: see the class.
          features: of the inference network and of that which makes f(z).
          blocks: number of blocks of both, see `LadderBlock`.
          latents: maps of z in each block.
          halvings: z has H / 2^halvings rows and W / 2^halvings columns.
          posterior: "flow" (inverse autoregressive) or "gaussian".
          free_bits: nats that every map of z may hold without a price, on average over the images
            that a device has in a step; 0 for none.
          condition_size: 0, as there is no condition.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(**kwargs)
        self.image_spec = ImageSpec(image_shape, levels)
        self.condition_spec = ConditionSpec(0, self.image_spec)
        image_shape = self.image_shape
        if posterior not in POSTERIORS:
            raise ValueError(f"posterior is {posterior!r}{nearest(str(posterior), POSTERIORS)}.")
        if not free_bits >= 0:
            raise ValueError(f"free_bits must be at least 0, got {free_bits}.")
        if condition_size:
            raise ValueError(f"this family takes no condition, got condition_size={condition_size}")
        self.view = view
        self.free_bits = free_bits
        self.network = LatentNetwork(
            image_shape,
            view.image_shape,
            features,
            blocks,
            latents,
            halvings,
            posterior == "flow",
            name="network",
            dtype=self.dtype_policy,
        )
        self.noise = keras.random.SeedGenerator()  # of training; its state is set in every step

    # What a family gives.

    @abc.abstractmethod
    def image_log_prob(self, f: Array, images: Array, training: bool) -> tf.Tensor:
        """Nats log p(x | z) of images by f(z), float64 [N]."""

    @abc.abstractmethod
    def objective(self, f: Array, images: Array, price: Array, training: bool) -> tf.Tensor:
        """The training objective.

        Args:
          f: f(z).
          images: integers 0…levels−1 [N, H, W, C].
          price: what z costs, see `divergence_price`.
          training: whether dropout and the like are on.

        Returns:
          Nats, float64 [N].
        """

    @abc.abstractmethod
    def draw_given(self, f: Array, request: Request) -> tf.Tensor:
        """Images by f(z): integers [N, H, W, C], see `draw`."""

    # z and f(z).

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights; a family extends it. `input_shape` is ignored, Keras passes it."""
        self.network.build((None, *self.image_shape))
        self.built = True

    def view_log_prob(self, f: Array, images: Array) -> tf.Tensor:
        """Nats log p(y | z) of the views y of images, float64 [N]."""
        y, levels = self.view(images), self.view.levels
        log_scales = clamp_log_scale(tf.cast(self.network.log_scales.value, f.dtype), levels)
        return total(discretized_logistic_log_prob(y, f, log_scales, levels))

    def posterior_noise(self, images: Array, draw: int = 0) -> tf.Tensor:
        """Noise of draw number `draw` from the posterior of images: float32 [N, h, w, maps]."""
        return sampling.gaussian_noise(draw, fingerprints(images), self.network.latent_shape)

    def infer(self, images: Array, noise: Array) -> tuple:
        """f(z), z and the KL divergence of every number of z, see `LatentNetwork.call`."""
        return self.network(self.scale(images), noise)

    def as_view(self, f: Array) -> tf.Tensor:
        """f(z) as an image: integers [N, h, w, C], of the shape and levels of `view`."""
        return tf.cast(to_level(f, self.view.levels), integer_type(self.view.levels))

    # Bounds.

    def call(
        self, images: Array, condition: Array | None = None, training: bool = False
    ) -> tf.Tensor:
        """The terms of the bound, see `log_prob_terms_of`; checked as by an exact model."""
        return self.log_prob_terms_of(*self.checked(images, condition), training)

    def log_prob_terms_of(
        self, images: Array, condition: Array | None = None, training: bool = False, draw: int = 0
    ) -> tf.Tensor:
        """See `LikelihoodModel`: log p(x | z) and log p(z) − log q(z | x), nats float64 [N, 2]."""
        f, _, divergence = self.infer(images, self.posterior_noise(images, draw))
        return tf.stack([self.image_log_prob(f, images, training), -total(divergence)], axis=1)

    def importance_log_prob(self, images: Array, draws: int) -> np.ndarray:
        """The bound of Burda et al., which becomes tighter with the number of draws.

        log (1/K) Σ_k p(x, z_k) / q(z_k | x): the first draw is that of `log_prob`. The images are
        run through the model once for every draw, so memory does not grow with their number.

        Args:
          images: integers 0…levels−1 [N, H, W, C].
          draws: K, at least 1.

        Returns:
          Nats, float64 [N], a NumPy array.

        Raises:
          ValueError: images that do not fit the model, or no draws.
        """
        draws = check_integer("draws", draws, 1)
        images = self.checked_images(images)
        whole = np.full(len(images), -np.inf)
        for draw in range(draws):
            weights = self._log_weights_graph(images, tf.constant(draw, tf.int64))
            whole = np.logaddexp(whole, weights.numpy())
        return whole - np.log(draws)

    @functools.cached_property
    def _log_weights_graph(self):
        def log_weights(images, draw):
            return tf.reduce_sum(self.log_prob_terms_of(images, draw=draw), axis=1)

        return tf.function(log_weights, reduce_retracing=True, autograph=False)

    # Training.

    def training_loss_of(self, images: Array, condition: Array | None, training: bool) -> tf.Tensor:
        """Minus the objective in bits/dim of every image [N]."""
        noise = self.training_noise(images) if training else self.posterior_noise(images)
        f, _, divergence = self.infer(images, noise)
        nats = -self.objective(f, images, self.divergence_price(divergence), training)
        return tf.cast(bits_per_dim(nats, self.image_shape), tf.float32)

    def training_noise(self, images: Array) -> tf.Tensor:
        """Noise of a draw from the posterior in a step of training."""
        shape = (tf.shape(images)[0], *self.network.latent_shape)
        return keras.random.normal(shape, dtype="float32", seed=self.noise)

    def divergence_price(self, divergence: Array) -> tf.Tensor:
        """The KL divergence as training counts it: nats [N].

        A map of z of which the batch has less than `free_bits` on average costs that much, whatever
        it holds: the mean over the batch is Σ max(free_bits, mean), as in equation 15.
        """
        of_maps = tf.reduce_sum(divergence, axis=[1, 2])
        if self.free_bits:
            paid = tf.reduce_mean(of_maps, axis=0) > self.free_bits
            of_maps = tf.where(paid, of_maps, tf.cast(self.free_bits, of_maps.dtype))
        return total(of_maps)

    # What z holds.

    def statistics_of(self, f: Array, images: Array) -> dict:
        """Further numbers of images, float64 [N], of a family; see `latent_sums`."""
        return {}

    @functools.cached_property
    def latent_sums(self) -> Callable[[tf.Tensor, tf.Tensor], dict]:
        """Function (images, 1.0 or 0.0 for each) → sums over the images: {name: float64}.

        "divergence" is that of every latent dimension [h, w, maps].
        """

        def sums(images, counted):
            f, _, divergence = self.infer(images, self.posterior_noise(images))
            found = {"divergence": tf.cast(divergence, tf.float64), **self.statistics_of(f, images)}
            return {name: tf.tensordot(counted, x, 1) for name, x in found.items()}

        return tf.function(sums, reduce_retracing=True, autograph=False)

    # Samples.

    @property
    def stages(self) -> list[ImageSpec]:
        """See `DensityModel`: f(z) as an image, then the image."""
        return [ImageSpec(self.view.image_shape, self.view.levels), self.image_spec]

    def encode_latents(self, images: Array, draw: int = 0) -> tf.Tensor:
        """Draws z from the posterior of images: float32 [N, h, w, maps], the same every time.

        Args:
          images: integers 0…levels−1 [N, H, W, C].
          draw: number of the draw.

        Raises:
          ValueError: images that do not fit the model.
        """
        draw = tf.constant(check_integer("draw", draw, 0), tf.int64)
        return self._latents_graph(self.checked_images(images), draw)

    def draw_latents(self, seed: int | Array, example_seeds: Array) -> tf.Tensor:
        """Draws z from the prior: float32 [N, h, w, maps].

        Args:
          seed: integer.
          example_seeds: integers [N], see `sample`.

        Raises:
          ValueError: a seed or example_seeds that are no integers.
        """
        example_seeds = as_array("example_seeds", example_seeds)
        shape, dtype = list(example_seeds.shape), tf.as_dtype(example_seeds.dtype)
        if not dtype.is_integer or len(shape) != 1:
            raise ValueError(
                f"example_seeds must be integers [N], got {dtype.name} of shape {shape}."
            )
        return self._drawn_latents(check_seed(seed), example_seeds)

    def _drawn_latents(self, seed, example_seeds):
        example_seeds = tf.cast(example_seeds, tf.int64) + FAR
        return sampling.gaussian_noise(seed, example_seeds, self.network.latent_shape)

    def show_latents(self, latents: Array) -> tf.Tensor:
        """f(z) of given z [N, h, w, maps] as an image, see `as_view`."""
        self.prepare()
        return self.as_view(self._decode_graph(self.check_stage(latents)))

    def check_stage(self, latents: Array) -> tf.Tensor:
        """See `DensityModel.sample_stages`: z of each image, float [N, h, w, maps]."""
        latents, wanted = as_array("latents", latents), self.network.latent_shape
        if tuple(latents.shape[1:]) != wanted:
            raise ValueError(
                f"latents must have the shape {['N', *wanted]} of this model, got "
                f"{list(latents.shape)}."
            )
        latents = tf.cast(latents, tf.float32)
        if not np.isfinite(latents).all():
            raise ValueError("latents have values that are not finite.")
        return latents

    def draw(self, request: Request) -> list[tf.Tensor]:
        """See `DensityModel`: f(z) as an image, and the images."""
        latents = request.stage
        if latents is None:
            latents = self._drawn_latents(request.seed, request.example_seeds)
        f = self.network.decode(latents)
        return [self.as_view(f), self.draw_given(f, request)]

    @functools.cached_property
    def _decode_graph(self):
        return tf.function(self.network.decode, reduce_retracing=True, autograph=False)

    @functools.cached_property
    def _latents_graph(self):
        def latents(images, draw):
            return self.infer(images, self.posterior_noise(images, draw))[1]

        return tf.function(latents, reduce_retracing=True, autograph=False)


def total(values):
    """Sums nats [N, …] to those of the images, float64 [N]."""
    return tf.reduce_sum(tf.cast(values, tf.float64), axis=list(range(1, len(values.shape))))


def fingerprints(images):
    """A number for the contents of every image, int64 [N]: a random linear function modulo 2^64."""
    random = np.random.default_rng(0)
    factors = random.integers(np.iinfo(np.int64).max, size=images.shape[1:]) | 1
    return tf.reduce_sum((tf.cast(images, tf.int64) + 1) * factors, axis=[1, 2, 3])
