"""The network of a variational autoencoder: an image to latent variables z, and z to f(z).

Source: "Improving Variational Inference with Inverse Autoregressive Flow" (Kingma et al., 2016),
section 4: a strided 5×5 convolution, blocks at that resolution (`LadderBlock`), and a strided 5×5
deconvolution.
"""

import math
from typing import Any

import keras
import tensorflow as tf

from gated_pixelcnn.layers.gated_resnet import ShiftedConv2D
from gated_pixelcnn.layers.ladder_block import LadderBlock
from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.weight_norm import NormalisedDeconv2D
from gated_pixelcnn.spec import Shape

_SEEN = {"kernel_shape": (5, 5), "last": (2, 2)}
_DEVIATION = 0.1  # of f(z) over the first batch
_FIRST_LOG_SCALE = -2.0  # Adamax moves it by its learning rate at most, in every step


class LatentNetwork(Layer):
    """Scaled images x [N, H, W, C] → z, [N, h, w, blocks · latents] → f(z), of another shape.

    Attributes:
      log_scales: of the logistics whose means f(z) are [C], the same at all places.
      latent_shape: (h, w, blocks · latents) of z; the first maps are of the block next to f(z).
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        output_shape: tuple[int, int, int],
        features: int = 160,
        blocks: int = 20,
        latents: int = 32,
        halvings: int = 1,
        flow: bool = True,
        **kwargs: Any,
    ) -> None:
        """Makes the layers.

        Args:
          image_shape: (H, W, C) of x.
          output_shape: of f(z); H and W divided or multiplied by a power of two, or as they are.
          features: of the blocks.
          blocks: number of blocks.
          latents: maps of z in each block.
          halvings: z has height H / 2^halvings, and width W / 2^halvings.
          flow: see `LadderBlock`.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range.
        """
        super().__init__(autocast=False, **kwargs)  # noise stays as it is
        sizes = {"features": features, "blocks": blocks, "latents": latents}
        for name, value in sizes.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        if halvings < 0:
            raise ValueError(f"halvings must be at least 0, got {halvings}.")
        height, width, _ = image_shape
        if height % 2**halvings or width % 2**halvings:
            raise ValueError(
                f"images of {height}x{width} (height x width) cannot be halved {halvings} times; "
                "set fewer halvings, or bring images to another size by data.image_size."
            )
        self.image_shape = tuple(image_shape)
        self.features = features
        self.latent_shape = (height >> halvings, width >> halvings, blocks * latents)
        own = {"dtype": self.dtype_policy}
        strides = [2] * halvings or [1]
        self.shrink = [
            ShiftedConv2D(features, **_SEEN, strides=stride, name=f"shrink_{i}", **own)
            for i, stride in enumerate(strides)
        ]
        self.blocks = [
            LadderBlock(features, latents, flow, i == blocks - 1, name=f"block_{i}", **own)
            for i in range(blocks)
        ]
        self.resize = self._resizing(output_shape, **own)
        self.view_shape = tuple(output_shape)

    def _resizing(self, output_shape, **own):
        """Convolutions from the resolution of z to that of f(z)."""
        height, _, channels = output_shape
        doublings = round(math.log2(height / self.latent_shape[0]))
        filters_of = [self.features] * (max(abs(doublings), 1) - 1) + [channels]

        def convolution(filters, i):
            how = {"deviation": _DEVIATION, "name": f"resize_{i}", **own}
            if i == len(filters_of) - 1:  # half precision would round means by a part of a bin
                how["dtype"] = self.variable_dtype
            if doublings > 0:
                return NormalisedDeconv2D(filters, _SEEN["kernel_shape"], **how)
            return ShiftedConv2D(filters, **_SEEN, strides=2 if doublings < 0 else 1, **how)

        return [convolution(f, i) for i, f in enumerate(filters_of)]

    def compute_output_shape(self, input_shape: Any = None) -> Shape:
        """Returns the shape of f(z)."""
        return (None, *self.view_shape)

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights; they depend on the constructor's arguments only."""
        shape = (None, *self.image_shape)
        maps = (None, *self.latent_shape[:2], self.features)
        for layer in self.shrink:
            layer.build(shape)
            shape = maps
        for block in self.blocks:
            block.build(maps)
        for layer in self.resize:
            layer.build(maps)
        self.top = self.add_weight(name="top", shape=(self.features,), initializer="zeros")
        self.log_scales = self.add_weight(
            name="log_scales",
            shape=(self.resize[-1].filters,),
            initializer=keras.initializers.Constant(_FIRST_LOG_SCALE),
        )
        self.built = True

    def call(self, x: tf.Tensor, noise: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """From images to draws of their posterior.

        Args:
          x: scaled images [N, H, W, C].
          noise: from a unit Gaussian, [N, h, w, blocks · latents].

        Returns:
          f(z); z; log q(z | x) − log p(z) of every number of z (the KL divergence of this draw, in
          nats). Float32, or float64.
        """
        num = tf.shape(x)[0]
        for i, layer in enumerate(self.shrink):
            x = layer(x if i == 0 else tf.nn.elu(x))
        found = []
        for block in self.blocks:
            x, of_block = block.up(x)
            found.append(of_block)
        noise, drawn = tf.split(noise, len(self.blocks), axis=-1), []

        def draw(i, block, of_down):
            z, divergence = block.posterior(found[i], of_down, noise[i])
            drawn.append((z, divergence))
            return z

        f = self._down(num, draw)
        z, divergence = (tf.concat(parts[::-1], axis=-1) for parts in zip(*drawn, strict=True))
        return f, z, divergence

    def decode(self, z: tf.Tensor) -> tf.Tensor:
        """Given z [N, h, w, blocks · latents], f(z)."""
        parts = tf.split(z, len(self.blocks), axis=-1)
        return self._down(tf.shape(z)[0], lambda i, *_: parts[i])

    def _down(self, num, draw):
        """The way down, from the last block to the first, and to f(z)."""
        top = tf.cast(self.top.value, self.compute_dtype)
        x = tf.broadcast_to(top, [num, *self.latent_shape[:2], self.features])
        for i, block in reversed(list(enumerate(self.blocks))):
            x = block.down(x, lambda of_down, i=i, block=block: draw(i, block, of_down))
        for layer in self.resize:
            x = layer(tf.nn.elu(x))
        return tf.cast(x, tf.float64 if x.dtype == tf.float64 else tf.float32)
