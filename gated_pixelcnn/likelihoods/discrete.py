"""Likelihoods with a logit per level: Bernoulli and the softmax of the PixelCNN papers.

Reference: van den Oord et al., Conditional Image Generation with PixelCNN Decoders,
https://arxiv.org/abs/1606.05328
"""

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from gated_pixelcnn.likelihoods.base import Likelihood, real
from gated_pixelcnn.spec import Array

if TYPE_CHECKING:
    from tensorflow_probability import distributions as tfd

# A draw runs once per value of an image, and the cumulative sum over 256 levels is its slowest
# part. For 16 images or more, blocks of 16 save a third to a half of the draw's time without XLA
# and two thirds with it.
_BLOCK = 16


def _count_not_above(cdf, target):
    """Number of entries of each sorted row that are <= target: [N, L], [N, 1] -> int32 [N, 1]."""
    # tf.searchsorted is this op among reshapes, which count in a loop over pixels.
    return tf.raw_ops.UpperBound(sorted_inputs=cdf, values=target)


def draw_index(logits, noise):
    """Inverts the cumulative distribution of softmax(logits).

    An index of weight 0 is never drawn, whatever the rounding.

    Args:
      logits: [N, L], L static.
      noise: [N, 1], uniforms in (0, 1), type of `logits`.

    Returns:
      int32 [N], 0 ... L - 1.
    """
    weights = tf.exp(logits - tf.reduce_max(logits, axis=-1, keepdims=True))
    size = logits.shape[-1]
    if size < 2 * _BLOCK or size % _BLOCK:
        cdf = tf.cumsum(weights, axis=-1)
        # noise * total stays below the total after rounding, hence the index below L.
        return _count_not_above(cdf, noise * cdf[:, -1:])[:, 0]
    # First the block, then the index inside it.
    weights = tf.reshape(weights, [-1, size // _BLOCK, _BLOCK])
    cdf = tf.cumsum(tf.reduce_sum(weights, axis=-1), axis=-1)  # [N, blocks]
    target = noise * cdf[:, -1:]
    block = _count_not_above(cdf, target)
    before = tf.gather(tf.pad(cdf, [[0, 0], [1, 0]]), block, axis=1, batch_dims=1)
    cdf = tf.cumsum(tf.gather(weights, block[:, 0], axis=1, batch_dims=1), axis=-1)
    # The remainder may round up to the block's total or above it.
    below_one = 1.0 - np.finfo(logits.dtype.as_numpy_dtype).eps
    inside = _count_not_above(cdf, tf.minimum(target - before, below_one * cdf[:, -1:]))
    return (block * _BLOCK + inside)[:, 0]


def truncated(logits, top_k, top_p):
    """Logits of which all but the most probable are the type's lowest, see `SamplingOptions`.

    Args:
      logits: [N, L].
      top_k: Python integer; 0 for all.
      top_p: scalar above 0; 1 for all.

    Returns:
      [N, L], at least one of a row as it was.
    """
    lowest = logits.dtype.min
    if 0 < top_k < logits.shape[-1]:
        least = tf.math.top_k(logits, top_k).values[:, -1:]
        logits = tf.where(logits < least, lowest, logits)
    if tf.is_tensor(top_p) or top_p < 1:
        falling = tf.sort(logits, axis=-1, direction="DESCENDING")
        before = tf.cumsum(tf.nn.softmax(falling), axis=-1, exclusive=True)
        taken = tf.reduce_sum(tf.cast(before < tf.cast(top_p, before.dtype), tf.int32), axis=-1)
        least = tf.gather(falling, tf.maximum(taken, 1) - 1, axis=1, batch_dims=1)
        logits = tf.where(logits < least[:, tf.newaxis], lowest, logits)
    return logits


class Bernoulli(Likelihood):
    """Binary values, P = 1: the logit of level 1."""

    def __init__(self, channels: int, levels: int = 2) -> None:
        """Checks the sizes.

        Args:
          channels: number of colours.
          levels: 2.

        Raises:
          ValueError: if levels is not 2.
        """
        super().__init__(channels, levels)
        if self.levels != 2:
            raise ValueError(
                f"likelihood 'bernoulli' needs levels = 2, got {levels}; for more levels use "
                "'categorical', 'logistic' or 'mixture'."
            )

    def log_prob(self, parameters: Array, images: Array) -> tf.Tensor:
        """See `Likelihood.log_prob`."""
        logits = real(parameters)[..., 0]
        return -tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(images, logits.dtype), logits)

    def draw(
        self, parameters: Array, colour: int, values: Array, noise: Array, temperature: float
    ) -> tf.Tensor:
        """See `Likelihood.draw`."""
        logits = real(parameters)[:, 0]
        probabilities = tf.sigmoid(logits / tf.cast(temperature, logits.dtype))
        return tf.cast(tf.cast(noise[:, 0], logits.dtype) < probabilities, tf.int32)

    def distribution(self, parameters: Array, images: Array | None = None) -> "tfd.Distribution":
        """See `Likelihood.distribution`."""
        from tensorflow_probability import distributions as tfd

        return tfd.Bernoulli(logits=real(parameters)[..., 0])


class Categorical(Likelihood):
    """A softmax over all levels, P = levels; it knows no order among the levels."""

    is_categorical = True

    def __init__(self, channels: int, levels: int = 256) -> None:
        """Checks the sizes, see `Likelihood`."""
        super().__init__(channels, levels)
        self.parameters_per_colour = self.levels

    def log_prob(self, parameters: Array, images: Array) -> tf.Tensor:
        """See `Likelihood.log_prob`."""
        labels = tf.cast(images, tf.int32)
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(labels, real(parameters))

    def draw(
        self, parameters: Array, colour: int, values: Array, noise: Array, temperature: float
    ) -> tf.Tensor:
        """See `Likelihood.draw`."""
        logits = real(parameters)
        logits = logits / tf.cast(temperature, logits.dtype)
        return draw_index(logits, tf.cast(noise, logits.dtype))

    def truncated(
        self, parameters: Array, colour: int, temperature: float, top_k: int, top_p: float
    ) -> tf.Tensor:
        """See `Likelihood.truncated`: logits divided by the temperature."""
        logits = real(parameters)
        return truncated(logits / tf.cast(temperature, logits.dtype), top_k, top_p)

    def distribution(self, parameters: Array, images: Array | None = None) -> "tfd.Distribution":
        """See `Likelihood.distribution`."""
        from tensorflow_probability import distributions as tfd

        return tfd.Categorical(logits=real(parameters))


class IndependentCategorical(Categorical):
    """The same, but the colours of a pixel are independent of each other given all earlier pixels.

    What a network without masks of colours gives; the papers' masks (2016a, section 3.4) let G
    depend on R, and B on both.
    """

    colours_share_parameters = True

    def log_prob(self, parameters: Array, images: Array) -> tf.Tensor:
        """See `Likelihood.log_prob`."""
        return super().log_prob(self._of_colours(parameters), images)

    def draw(
        self, parameters: Array, colour: int, values: Array, noise: Array, temperature: float
    ) -> tf.Tensor:
        """See `Likelihood.draw`."""
        if parameters.shape[-1] != self.levels:  # else they are of this colour already
            parameters = self._of_colours(parameters)[:, colour]
        return super().draw(parameters, colour, values, noise, temperature)

    def truncated(
        self, parameters: Array, colour: int, temperature: float, top_k: int, top_p: float
    ) -> tf.Tensor:
        """See `Likelihood.truncated`: those of the colour alone."""
        logits = self._of_colours(parameters)[:, colour]
        return super().truncated(logits, colour, temperature, top_k, top_p)

    def distribution(self, parameters: Array, images: Array | None = None) -> "tfd.Distribution":
        """See `Likelihood.distribution`."""
        return super().distribution(self._of_colours(parameters))

    def _of_colours(self, parameters):
        """[..., C · levels] → [..., C, levels]."""
        parameters = real(parameters)
        sizes = [self.channels, self.levels]
        return tf.reshape(parameters, tf.concat([tf.shape(parameters)[:-1], sizes], axis=0))
