"""The embedding network f_w: maps of a view of an image, for a model of the image given the view.

Source: "PixelCNN Models with Auxiliary Variables for Natural Image Modeling" (Kolesnikov and
Lampert, 2017), section 3: blocks of PixelCNN++ in one stream, whose convolutions see all around.
It runs once per image, whatever the number of its pixels. It has no dropout.
"""

from typing import Any

import tensorflow as tf

from gated_pixelcnn.layers.gated_resnet import AROUND, GatedResnet, ShiftedConv2D, concat_elu
from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.stream import make_stream, run_stream
from gated_pixelcnn.layers.weight_norm import NormalisedConv2D, NormalisedDeconv2D
from gated_pixelcnn.spec import Shape


class ViewEmbedding(Layer):
    """Scaled views [N, h, w, C] → maps [N, h, w, features], or of twice the size."""

    def __init__(
        self,
        features: int,
        blocks: int = 3,
        scales: int = 2,
        twice: bool = False,
        deviation: float = 1.0,
        **kwargs: Any,
    ) -> None:
        """Makes the layers.

        Args:
          features: F, of the result and inside.
          blocks: number of blocks at each scale on the way down.
          scales: number of resolutions, from that of the view down.
          twice: whether the result has twice the view's size; then so many blocks more.
          deviation: of the result over the first batch.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument below 1.
        """
        super().__init__(**kwargs)
        for name, value in {"features": features, "blocks": blocks, "scales": scales}.items():
            if value < 1:
                raise ValueError(f"embedding_{name} must be at least 1, got {value}.")
        own = {"dtype": self.dtype_policy}
        self.first = ShiftedConv2D(features, **AROUND, name="first", **own)
        self.stream = make_stream(features, blocks, scales, AROUND, **own)
        self.enlarge, self.large = None, []
        if twice:
            self.enlarge = NormalisedDeconv2D(
                features, AROUND["kernel_shape"], name="enlarge", **own
            )
            self.large = [
                GatedResnet(features, **AROUND, name=f"large_{i}", **own) for i in range(blocks)
            ]
        self.head = NormalisedConv2D(features, (1, 1), deviation=deviation, name="head", **own)
        self.features = features

    def build(self, input_shape: Shape) -> None:
        """Makes the weights."""
        num, height, width, channels = input_shape
        self.first.build((num, height, width, channels + 1))
        maps = (num, height, width, self.features)
        for scale in self.stream:
            scale.build(maps)
        if self.enlarge is not None:
            self.enlarge.build(maps)
            maps = (num, 2 * height, 2 * width, self.features)
        for block in self.large:
            block.build(maps)
        self.head.build((*maps[:-1], 2 * self.features))
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Makes the maps."""
        x = self.first(tf.concat([x, tf.ones_like(x[..., :1])], axis=-1))
        x = run_stream(
            self.stream,
            x,
            lambda number, i, x, mirrored: self.stream[number].blocks[i](x, *mirrored),
        )
        if self.enlarge is not None:
            x = self.enlarge.slide(x)
        for block in self.large:
            x = block(x)
        return self.head.slide(concat_elu(x))
