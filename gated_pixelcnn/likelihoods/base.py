"""The contract of a likelihood."""

import abc
from typing import TYPE_CHECKING

import tensorflow as tf

from gated_pixelcnn.spec import MOST_LEVELS, Array, check_integer

if TYPE_CHECKING:
    from tensorflow_probability import distributions as tfd


def real(x):
    """Float64 stays float64; everything else, half precision too, is computed in float32."""
    x = tf.convert_to_tensor(x)
    return x if x.dtype == tf.float64 else tf.cast(x, tf.float32)


class Likelihood(abc.ABC):
    """Distribution of a pixel's values given the network's output for that pixel.

    Finite parameters (up to 1e30 in size) give finite nats, finite gradients and valid draws.

    Attributes:
      channels: number of colours C.
      levels: number of levels of a value.
      colours_share_parameters: whether one set of parameters describes all colours of a pixel. If
        not, a colour's parameters may depend on the pixel's earlier colours through the network.
      parameters_per_colour: P, the number of parameters of one colour, where it has its own.
      noise_per_value: number of uniforms that the draw of one value takes.
    """

    colours_share_parameters = False
    parameters_per_colour = 1
    noise_per_value = 1

    def __init__(self, channels: int, levels: int) -> None:
        """Checks the sizes.

        Args:
          channels: number of colours, at least 1.
          levels: number of levels, 2 to 65,536.

        Raises:
          ValueError: if one of them is not an integer in its range.
        """
        self.channels = check_integer("channels", channels, 1)
        self.levels = check_integer("levels", levels, 2, MOST_LEVELS)

    def __repr__(self):
        """The kind and its sizes."""
        return f"{type(self).__name__}(channels={self.channels}, levels={self.levels})"

    @property
    def parameters_per_pixel(self) -> int:
        """Number of network outputs per pixel, all colours together."""
        return self.channels * self.parameters_per_colour

    def parameters(self, raw: Array) -> tf.Tensor:
        """The parameter map of a network's output.

        Args:
          raw: [..., parameters_per_pixel]. Where colours have parameters of their own the layout is
            colour-major: all numbers of the first colour, then all of the second.

        Returns:
          [..., C, P], or [..., P] if the colours share their parameters; float32, or float64 if
          `raw` is.
        """
        raw = real(raw)
        if self.colours_share_parameters:
            return raw
        shape = [self.channels, self.parameters_per_colour]
        folded = tf.reshape(raw, tf.concat([tf.shape(raw)[:-1], shape], axis=0))
        return tf.ensure_shape(folded, raw.shape[:-1].concatenate(shape))

    @abc.abstractmethod
    def log_prob(self, parameters: Array, images: Array) -> tf.Tensor:
        """Log-probability of every value given the context and the pixel's earlier colours.

        Args:
          parameters: parameter map, see `parameters`.
          images: integers [..., C], 0 ... levels - 1.

        Returns:
          [..., C] nats, type of the parameter map. Their sum over C belongs to the pixel.
        """

    @abc.abstractmethod
    def draw(
        self, parameters: Array, colour: int, values: Array, noise: Array, temperature: float
    ) -> tf.Tensor:
        """Draws one colour of N pixels by inverting the cumulative distribution.

        Args:
          parameters: [N, P] of this colour, or of the whole pixel if the colours share them.
          colour: Python integer, 0 ... C - 1.
          values: int32 [N, colour], the pixel's earlier colours, drawn or given.
          noise: float32 [N, noise_per_value], uniforms in the open interval (0, 1).
          temperature: scalar > 0. It divides logits and multiplies the scales of logistics: 1 draws
            from exp(log_prob); towards 0 every draw becomes the most probable value, or of a
            mixture of logistics the mean of the component of the largest weight.

        Returns:
          int32 [N], 0 ... levels - 1.
        """

    # Of a softmax, or of logistics only, see `sampling.SamplingOptions`.

    is_logistic = False
    is_categorical = False

    def narrowed(self, parameters: Array, by: float) -> tf.Tensor:
        """Parameters as `draw` takes them, `by` subtracted from all log-scales."""
        return parameters

    def truncated(
        self, parameters: Array, colour: int, temperature: float, top_k: int, top_p: float
    ) -> tf.Tensor:
        """Parameters as `draw` takes them at temperature 1; all but the most probable values go.

        Logits are divided by the temperature; those that go are the lowest number of their type.
        """
        return parameters

    def draw_mode(
        self, parameters: Array, colour: int, values: Array, noise: Array, temperature: float
    ) -> tf.Tensor:
        """See `draw`: the mode of a logistic; of a mixture that of one component per pixel.

        Args:
          parameters: see `draw`.
          colour: see `draw`.
          values: see `draw`; the component does not depend on them.
          noise: of the pixel's first colour, for all of its colours.
          temperature: see `draw`.
        """
        return self.draw(parameters, colour, values, noise, temperature)

    @abc.abstractmethod
    def distribution(self, parameters: Array, images: Array | None = None) -> "tfd.Distribution":
        """The same as a TensorFlow Probability object: for samples, entropies, divergences.

        Train on `log_prob` instead: it is faster for logistics, and accurate where this is not
        (scales of e^12 and more, means far outside the data).

        Args:
          parameters: parameter map, see `parameters`.
          images: integers [..., C] for the earlier colours; only a mixture of several colours
            depends on them.

        Returns:
          A `tfp.distributions.Distribution` over levels with batch shape [..., C].
        """
