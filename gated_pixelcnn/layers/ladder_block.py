"""One block of a variational autoencoder, with a way up for inference and one down.

Source: "Improving Variational Inference with Inverse Autoregressive Flow" (Kingma et al., 2016),
section 4 and Figure 4; sizes and initial values as in the authors' code.

    up:    x ─→ elu ─→ 3×3 ─→ q_μ, q_logσ, context, h;         h ─→ elu ─→ 3×3 ─→ · 0.1 + x ─→
    down:  x ─→ elu ─→ 3×3 ─→ r_μ, r_logσ, context, h;   [z, h] ─→ elu ─→ 3×3 ─→ · 0.1 + x ─→

    posterior:  z ~ N(q_μ + r_μ, e^(q_logσ + r_logσ)), and then the flow with both contexts
    prior:      z ~ N(0, 1)

The prior of Kingma et al. is a Gaussian whose mean and scale come from the way down, too; as the
way down goes on from z, a unit Gaussian (Lucas and Verbeek, 2018) describes the same images.
"""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from gated_pixelcnn.layers.autoregressive_flow import AutoregressiveFlow
from gated_pixelcnn.layers.gated_resnet import AROUND, ShiftedConv2D
from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.likelihoods.base import real
from gated_pixelcnn.spec import Shape

_RATE = 0.1  # of a residual
_DEVIATION = 0.1  # of the convolutions' outputs over the first batch


class LadderBlock(Layer):
    """Both ways of a block; x is [N, H, W, features], z is [N, H, W, maps].

    Its parts are called one by one: all blocks' ways up, then their ways down in the other order.
    """

    def __init__(
        self, features: int, maps: int, flow: bool = True, last: bool = False, **kwargs: Any
    ) -> None:
        """Makes the layers.

        Args:
          features: of x.
          maps: of z.
          flow: whether the posterior is a flow's, or a Gaussian.
          last: whether no block follows on the way up.
          **kwargs: Keras' own (name, dtype).
        """
        super().__init__(**kwargs)
        own = {"dtype": self.dtype_policy}
        self.features, self.maps = features, maps
        self.sizes = [maps, maps, features if flow else 0, features]

        def convolution(filters, name):
            return ShiftedConv2D(filters, **AROUND, deviation=_DEVIATION, name=name, **own)

        self.up_first = convolution(sum(self.sizes), "up_first")
        self.up_second = None if last else convolution(features, "up_second")
        self.down_first = convolution(sum(self.sizes), "down_first")
        self.down_second = convolution(features, "down_second")
        self.flow = AutoregressiveFlow(maps, features, name="flow", **own) if flow else None

    def build(self, input_shape: Shape) -> None:
        """Makes the weights."""
        self.up_first.build(input_shape)
        if self.up_second is not None:
            self.up_second.build(input_shape)
        self.down_first.build(input_shape)
        self.down_second.build((*input_shape[:-1], self.maps + self.features))
        if self.flow is not None:
            self.flow.build((*input_shape[:-1], self.maps))
        self.built = True

    def up(self, x: tf.Tensor) -> tuple[tf.Tensor | None, list[tf.Tensor]]:
        """The way up.

        Returns:
          The next block's input (None if there is none), and what the posterior of z takes from
          this way.
        """
        *found, h = tf.split(self.up_first(tf.nn.elu(x)), self.sizes, axis=-1)
        if self.up_second is None:
            return None, found
        return x + _RATE * self.up_second(tf.nn.elu(h)), found

    def down(self, x: tf.Tensor, draw: Callable) -> tf.Tensor:
        """The way down.

        Args:
          x: the input.
          draw: function of what the posterior of z takes from this way → z.

        Returns:
          The next block's input.
        """
        *found, h = tf.split(self.down_first(tf.nn.elu(x)), self.sizes, axis=-1)
        z = tf.cast(draw(found), h.dtype)
        return x + _RATE * self.down_second(tf.nn.elu(tf.concat([z, h], axis=-1)))

    def posterior(
        self, of_up: list[tf.Tensor], of_down: list[tf.Tensor], noise: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """A draw from the posterior.

        Args:
          of_up: what `up` found.
          of_down: what `down` found.
          noise: from a unit Gaussian, [N, H, W, maps].

        Returns:
          z, and log q(z) − log p(z) of each of its numbers: the KL divergence of this draw in nats.
          Both float32, or float64, [N, H, W, maps].
        """
        mean, log_scale, context = (a + b for a, b in zip(of_up, of_down, strict=True))
        mean, log_scale = real(mean), real(log_scale)
        noise = tf.cast(noise, mean.dtype)
        z = mean + tf.exp(log_scale) * noise
        log_q = unit_gaussian_log_prob(noise) - log_scale
        if self.flow is not None:
            z, s = self.flow(z, context)
            log_q += s
        return z, log_q - unit_gaussian_log_prob(z)


def unit_gaussian_log_prob(x: tf.Tensor) -> tf.Tensor:
    """The log-density of a unit Gaussian, in nats, of the shape of x."""
    return -0.5 * (tf.square(x) + math.log(2 * math.pi))
