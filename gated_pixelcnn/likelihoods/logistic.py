"""Likelihoods that cut logistics into bins: ordered levels, few parameters.

Reference: Salimans et al., PixelCNN++, https://arxiv.org/abs/1701.05517
"""

import abc
import math
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from gated_pixelcnn.likelihoods.base import Likelihood, real
from gated_pixelcnn.likelihoods.discrete import draw_index
from gated_pixelcnn.spec import Array, check_integer

if TYPE_CHECKING:
    from tensorflow_probability import distributions as tfd

# The paper's code bounds log-scales below, at an eighth of a bin of 256 levels. Above, a scale of
# e^40 has all its mass on the two edge levels already, and the bound keeps the inverse scale away
# from zero.
MIN_LOG_SCALE = -7.0
MAX_LOG_SCALE = 40.0


def clamp_log_scale(log_scales, levels):
    """Log-scales bounded to [-7, 40]; of more than 256 levels, to as small a part of a bin."""
    lowest = MIN_LOG_SCALE - max(0.0, math.log((levels - 1) / 255))
    return tf.clip_by_value(log_scales, lowest, MAX_LOG_SCALE)


def discretized_logistic_log_prob(values, means, log_scales, levels):
    """Log-probability of levels under a logistic that is cut into bins.

    The first bin reaches to minus infinity and the last one to plus infinity, so the levels'
    probabilities sum to 1. A bin from low to high (in units of the scale, from the mean) has

        sigmoid(high) - sigmoid(low) = sigmoid(high) * sigmoid(-low) * (1 - exp(low - high)),

    three factors without cancellation, each with finite logarithm and gradient wherever the bin
    lies. An edge bin keeps one of them.

    Args:
      values: levels 0 ... levels - 1 of any number type; the shape broadcasts against `means`.
      means: floats, in the scaling x = 2 * value / (levels - 1) - 1.
      log_scales: floats of the same shape and scaling, in the bounds of `clamp_log_scale`.
      levels: number of levels.

    Returns:
      Nats, of the broadcast shape and the type of `means`.
    """
    values = tf.cast(values, means.dtype)
    half_bin = 1.0 / (levels - 1)
    inverse_scales = tf.exp(-log_scales)
    centred = values * (2.0 * half_bin) - 1.0 - means
    below_high = tf.math.log_sigmoid((centred + half_bin) * inverse_scales)
    above_low = tf.math.log_sigmoid((half_bin - centred) * inverse_scales)
    width = tf.math.log(-tf.math.expm1(-2.0 * half_bin * inverse_scales))
    # Products rather than tf.where: every factor is finite, and the masks have no component axis.
    not_first = tf.cast(values > 0.0, means.dtype)
    not_last = tf.cast(values < levels - 1.0, means.dtype)
    return not_last * below_high + not_first * above_low + not_first * not_last * width


def draw_logistic(means, scales, noise, levels):
    """The level whose bin holds mean + scale * logit(noise): the exact discretized distribution."""
    return to_level(means + scales * (tf.math.log(noise) - tf.math.log1p(-noise)), levels)


def to_level(x, levels):
    """The level whose bin holds x."""
    # floor(. + 1/2), as round() sends every second half the other way.
    level = tf.floor((x + 1.0) * (0.5 * (levels - 1)) + 0.5)
    return tf.cast(tf.clip_by_value(level, 0.0, levels - 1.0), tf.int32)


def _quantized_logistic(means, log_scales, levels):
    """TFP's discretized logistic over levels; its bins are (level - 1, level], hence the - 0.5."""
    from tensorflow_probability import distributions as tfd

    per_unit = 0.5 * (levels - 1)
    logistic = tfd.Logistic((means + 1.0) * per_unit - 0.5, tf.exp(log_scales) * per_unit)
    return tfd.QuantizedDistribution(logistic, low=0.0, high=levels - 1.0)


def _check_not_binary(name, levels):
    if levels == 2:
        raise ValueError(
            f"likelihood {name!r} needs levels >= 3, got 2: on binary images a logistic is a coin "
            "with superfluous parameters; use 'bernoulli'."
        )


class _Logistic(Likelihood):
    """Base of both kinds: draws with narrower logistics."""

    is_logistic = True

    @abc.abstractmethod
    def _are_log_scales(self):
        """Which of the P numbers of `draw` are log-scales: 0 and 1 [P]."""

    def narrowed(self, parameters: Array, by: float) -> tf.Tensor:
        """See `Likelihood.narrowed`."""
        mask = np.asarray(self._are_log_scales(), np.float32)
        return parameters - tf.constant(mask, parameters.dtype) * tf.cast(by, parameters.dtype)


class DiscretizedLogistic(_Logistic):
    """One logistic per value, P = 2: mean, log-scale."""

    parameters_per_colour = 2

    def __init__(self, channels: int, levels: int = 256) -> None:
        """Checks the sizes.

        Args:
          channels: number of colours, at least 1.
          levels: number of levels, 3 to 65,536.

        Raises:
          ValueError: if one of them is out of its range.
        """
        super().__init__(channels, levels)
        _check_not_binary("logistic", self.levels)

    def _are_log_scales(self):
        return [0, 1]

    def _split(self, parameters):
        parameters = real(parameters)
        return parameters[..., 0], clamp_log_scale(parameters[..., 1], self.levels)

    def log_prob(self, parameters: Array, images: Array) -> tf.Tensor:
        """See `Likelihood.log_prob`."""
        return discretized_logistic_log_prob(images, *self._split(parameters), self.levels)

    def draw(
        self, parameters: Array, colour: int, values: Array, noise: Array, temperature: float
    ) -> tf.Tensor:
        """See `Likelihood.draw`."""
        means, log_scales = self._split(parameters)
        scales = tf.exp(log_scales) * tf.cast(temperature, means.dtype)
        return draw_logistic(means, scales, tf.cast(noise[:, 0], means.dtype), self.levels)

    def draw_mode(
        self, parameters: Array, colour: int, values: Array, noise: Array, temperature: float
    ) -> tf.Tensor:
        """See `Likelihood.draw_mode`."""
        return to_level(self._split(parameters)[0], self.levels)

    def distribution(self, parameters: Array, images: Array | None = None) -> "tfd.Distribution":
        """See `Likelihood.distribution`."""
        return _quantized_logistic(*self._split(parameters), self.levels)


class DiscretizedLogisticMixture(_Logistic):
    """A mixture with one component per pixel, shared by its colours; P = 3K or 10K.

    In every component the mean of green moves with the pixel's red value, that of blue with both:
    mu_G + tanh(c0) x_R and mu_B + tanh(c1) x_R + tanh(c2) x_G.

    A pixel's P numbers are groups of K: logits; a mean per colour; a log-scale per colour; with
    three colours c0, c1, c2.
    """

    colours_share_parameters = True
    noise_per_value = 2  # component, value

    def __init__(self, channels: int, levels: int = 256, components: int = 10) -> None:
        """Checks the sizes.

        Args:
          channels: number of colours, 1 or 3.
          levels: number of levels, 3 to 65,536.
          components: number of components K, at least 1.

        Raises:
          ValueError: if one of them is out of its range.
        """
        super().__init__(channels, levels)
        if self.channels not in (1, 3):
            raise ValueError(f"likelihood 'mixture' needs channels = 1 or 3, got {channels}.")
        _check_not_binary("mixture", self.levels)
        self.components = check_integer("components", components, 1)
        self._groups = 1 + 2 * self.channels + self.channels * (self.channels - 1) // 2

    def __repr__(self):
        """The kind and its sizes."""
        return f"{super().__repr__()[:-1]}, components={self.components})"

    @property
    def parameters_per_pixel(self) -> int:
        """Number of network outputs per pixel."""
        return self._groups * self.components

    def _are_log_scales(self):
        groups = np.arange(self.parameters_per_pixel) // self.components
        return (groups > self.channels) & (groups <= 2 * self.channels)

    def _split(self, parameters):
        """[..., P] -> logits [..., K], then lists of [..., K]: means, log-scales, coefficients."""
        # Not slices: the gradient of a split is one concatenation, that of a slice a padded map.
        logits, *rows = tf.split(real(parameters), self._groups, axis=-1)
        means, rows = rows[: self.channels], rows[self.channels :]
        log_scales = [clamp_log_scale(row, self.levels) for row in rows[: self.channels]]
        return logits, means, log_scales, [tf.tanh(row) for row in rows[self.channels :]]

    def _mean(self, split, values, colour):
        """Means of one colour given the pixel's earlier values: [..., K]."""
        _, means, _, coefficients = split
        mean = means[colour]
        for earlier in range(colour):
            x = (
                tf.cast(values[..., earlier : earlier + 1], mean.dtype) * (2.0 / (self.levels - 1))
                - 1.0
            )
            mean += coefficients[colour * (colour - 1) // 2 + earlier] * x
        return mean

    def _bins(self, split, values, colour):
        """Log-probability of one colour's value in every component: [..., K]."""
        mean, log_scale = self._mean(split, values, colour), split[2][colour]
        return discretized_logistic_log_prob(
            values[..., colour : colour + 1], mean, log_scale, self.levels
        )

    def _posterior(self, split, values, colour):
        """Log-weights of the components given the colours before this one, up to a constant."""
        return split[0] + sum(self._bins(split, values, c) for c in range(colour))

    def log_prob(self, parameters: Array, images: Array) -> tf.Tensor:
        """See `Likelihood.log_prob`."""
        split = self._split(parameters)
        joint, nats = split[0], []
        for colour in range(self.channels):
            # Normalised at every step: a difference of two large sums would lose digits.
            joint = tf.nn.log_softmax(joint) + self._bins(split, images, colour)
            nats.append(tf.reduce_logsumexp(joint, axis=-1))
        return tf.stack(nats, axis=-1)

    def draw(
        self, parameters: Array, colour: int, values: Array, noise: Array, temperature: float
    ) -> tf.Tensor:
        """See `Likelihood.draw`.

        Every colour draws its component anew, from the posterior given `values`: the same
        distribution as one component per pixel, and the right one if the earlier colours are given,
        not drawn.
        """
        logits, means, log_scales, coefficients = self._split(parameters)
        temperature, noise = tf.cast(temperature, logits.dtype), tf.cast(noise, logits.dtype)
        log_scales = [row + tf.math.log(temperature) for row in log_scales[: colour + 1]]
        split = logits / temperature, means, log_scales, coefficients
        component = draw_index(self._posterior(split, values, colour), noise[:, :1])
        mean = tf.gather(self._mean(split, values, colour), component, axis=1, batch_dims=1)
        log_scale = tf.gather(log_scales[colour], component, axis=1, batch_dims=1)
        return draw_logistic(mean, tf.exp(log_scale), noise[:, 1], self.levels)

    def draw_mode(
        self, parameters: Array, colour: int, values: Array, noise: Array, temperature: float
    ) -> tf.Tensor:
        """See `Likelihood.draw_mode`."""
        split = self._split(parameters)
        logits = split[0] / tf.cast(temperature, split[0].dtype)
        component = draw_index(logits, tf.cast(noise[:, :1], logits.dtype))
        mean = tf.gather(self._mean(split, values, colour), component, axis=1, batch_dims=1)
        return to_level(mean, self.levels)

    def distribution(self, parameters: Array, images: Array | None = None) -> "tfd.Distribution":
        """See `Likelihood.distribution`.

        Raises:
          ValueError: if there are three colours and no images.
        """
        from tensorflow_probability import distributions as tfd

        if images is None and self.channels > 1:
            raise ValueError(
                "the distribution of a mixture of 3 colours needs images, whose earlier colours "
                "it depends on; got None."
            )
        split, colours = self._split(parameters), range(self.channels)
        weights = tf.stack([self._posterior(split, images, c) for c in colours], axis=-2)
        means = tf.stack([self._mean(split, images, c) for c in colours], axis=-2)
        log_scales = tf.stack(split[2], axis=-2)
        return tfd.MixtureSameFamily(
            tfd.Categorical(logits=weights), _quantized_logistic(means, log_scales, self.levels)
        )
