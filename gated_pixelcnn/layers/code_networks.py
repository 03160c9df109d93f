"""The networks of a VQ-VAE: an image to a vector for each code, and such vectors to an image.

Source: "Neural Discrete Representation Learning" (van den Oord et al., 2017), section 4.1: strided
4×4 convolutions and residual blocks; residual blocks and transposed 4×4 convolutions. A block:

    x ─→ ReLU ─→ 3×3 ─→ ReLU ─→ 1×1 ─→ + x ─→

The 3×3 convolutions beside the blocks and their sizes are those of the authors' code.
"""

from typing import Any

import keras
import tensorflow as tf

from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.ops import relu
from gated_pixelcnn.spec import Shape, check_integer

_KERNEL = 4  # of what halves or doubles the size


class ResidualStack(Layer):
    """Residual blocks, and a ReLU: maps [N, h, w, F] of the same shape."""

    def __init__(self, features: int, blocks: int, block_features: int, **kwargs: Any) -> None:
        """Makes the layer.

        Args:
          features: F.
          blocks: number of blocks, at least 0.
          block_features: maps between the two convolutions of a block.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(**kwargs)
        self.features = check_integer("features", features, 1)
        check_integer("blocks", blocks, 0)
        self.block_features = check_integer("block_features", block_features, 1)
        own = {"data_format": "channels_last", "dtype": self.dtype_policy}
        self.wide = [
            keras.layers.Conv2D(block_features, 3, padding="same", name=f"wide_{i}", **own)
            for i in range(blocks)
        ]
        self.narrow = [
            keras.layers.Conv2D(features, 1, name=f"narrow_{i}", **own) for i in range(blocks)
        ]

    def build(self, input_shape: Shape) -> None:
        """Makes the weights."""
        for wide, narrow in zip(self.wide, self.narrow, strict=True):
            wide.build(input_shape)
            narrow.build((*input_shape[:-1], self.block_features))
        super().build(input_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Runs the blocks."""
        for wide, narrow in zip(self.wide, self.narrow, strict=True):
            x = x + narrow(relu(wide(relu(x))))
        return relu(x)


class _Network(Layer):
    """Base of both: layers that halve or double the size, one after the other."""

    def __init__(
        self,
        outputs: int,
        features: int,
        blocks: int,
        block_features: int,
        halvings: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.outputs, self.features = outputs, features
        check_integer("halvings", halvings, 1)
        own = {"dtype": self.dtype_policy}
        self.blocks = ResidualStack(features, blocks, block_features, name="blocks", **own)
        self.own = own | {"padding": "same", "data_format": "channels_last"}
        # Half precision would move vectors to other codes, and round log-scales.
        self.exact = self.own | {"dtype": self.variable_dtype}
        self.mix = keras.layers.Conv2D(features, 3, name="mix", **self.own)


class CodeEncoder(_Network):
    """Scaled images [N, H, W, C] → vectors [N, H / 2^halvings, W / 2^halvings, outputs]."""

    def __init__(
        self,
        outputs: int,
        features: int,
        blocks: int,
        block_features: int,
        halvings: int,
        others: int = 0,
        **kwargs: Any,
    ) -> None:
        """Makes the layer.

        Args:
          outputs: numbers of a vector.
          features: maps of all layers but the last; half as many at the first resolution.
          blocks: see `ResidualStack`.
          block_features: see `ResidualStack`.
          halvings: number of strided convolutions, at least 1.
          others: maps of another network of which the vectors are made, too, see `TopMap`: then
            `maps` and `vectors` are called one after the other.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(outputs, features, blocks, block_features, halvings, **kwargs)
        maps = [max(features // 2, 1), *[features] * (halvings - 1)]
        self.shrink = [
            keras.layers.Conv2D(n, _KERNEL, strides=2, name=f"shrink_{i}", **self.own)
            for i, n in enumerate(maps)
        ]
        self.others = check_integer("others", others, 0)
        self.vectors = keras.layers.Conv2D(outputs, 1, name="vectors", **self.exact)

    def build(self, input_shape: Shape) -> None:
        """Makes the weights."""
        num, height, width, _ = shape = input_shape
        for layer in self.shrink:
            layer.build(shape)
            height, width = height // 2, width // 2
            shape = (num, height, width, layer.filters)
        self.mix.build(shape)
        shape = (*shape[:-1], self.features)
        self.blocks.build(shape)
        self.vectors.build((*shape[:-1], self.features + self.others))
        super().build(input_shape)

    def maps(self, x: tf.Tensor) -> tf.Tensor:
        """The maps of which vectors are made, [N, h, w, features]."""
        for layer in self.shrink:
            x = relu(layer(x))
        return tf.cast(self.blocks(self.mix(x)), self.variable_dtype)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Encodes images."""
        return self.vectors(self.maps(x))


class CodeDecoder(_Network):
    """Vectors [N, h, w, D] → numbers for pixels [N, 2^halvings·h, 2^halvings·w, outputs]."""

    def __init__(
        self,
        outputs: int,
        features: int,
        blocks: int,
        block_features: int,
        halvings: int,
        **kwargs: Any,
    ) -> None:
        """Makes the layer.

        Args:
          outputs: numbers of a pixel.
          features: maps of all layers but the last; half as many at the last resolution but one.
          blocks: see `ResidualStack`.
          block_features: see `ResidualStack`.
          halvings: number of transposed convolutions, at least 1.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(outputs, features, blocks, block_features, halvings, **kwargs)
        maps = [*[features] * (halvings - 2), *[max(features // 2, 1)] * (halvings > 1)]
        self.grow = [
            keras.layers.Conv2DTranspose(n, _KERNEL, strides=2, name=f"grow_{i}", **self.own)
            for i, n in enumerate(maps)
        ]
        self.pixels = keras.layers.Conv2DTranspose(
            outputs, _KERNEL, strides=2, name="pixels", **self.exact
        )

    def build(self, input_shape: Shape) -> None:
        """Makes the weights."""
        num, height, width, _ = input_shape
        self.mix.build(input_shape)
        shape = (num, height, width, self.features)
        self.blocks.build(shape)
        for layer in self.grow:
            layer.build(shape)
            height, width = 2 * height, 2 * width
            shape = (num, height, width, layer.filters)
        self.pixels.build(shape)
        super().build(input_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Decodes vectors."""
        x = self.blocks(self.mix(x))
        for layer in self.grow:
            x = relu(layer(x))
        return self.pixels(tf.cast(x, self.variable_dtype))
