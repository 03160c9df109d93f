"""One stream of PixelCNN++ at one resolution, and the way through all resolutions.

Source: "PixelCNN++" (Salimans et al., 2017), sections 2.3 and 2.4 and Figure 2.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from gated_pixelcnn.layers.gated_resnet import GatedResnet, ShiftedConv2D
from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.weight_norm import NormalisedDeconv2D
from gated_pixelcnn.spec import Shape


class Scale(Layer):
    """A stream at one resolution: blocks on the way down and up, and ways to the next.

    Its parts are called one by one, see `walk`.
    """

    def __init__(
        self,
        features: int,
        down: int,
        up: int,
        seen: dict[str, tuple[int, int]],
        others: int = 0,
        dropout: float = 0.0,
        last: bool = True,
        **kwargs: Any,
    ) -> None:
        """Makes the layers.

        Args:
          features: F.
          down: number of blocks on the way down.
          up: number of blocks on the way up, at most one more (or at the last scale, as many).
          seen: what a convolution sees: ABOVE, ABOVE_AND_LEFT or AROUND.
          others: number of other inputs of blocks on the way down; on the way up one more.
          dropout: see `GatedResnet`.
          last: whether this is the lowest resolution.
          **kwargs: Keras' own (name, dtype).
        """
        super().__init__(**kwargs)
        own = {"dtype": self.dtype_policy}

        def block(name, others):
            return GatedResnet(features, **seen, others=others, dropout=dropout, name=name, **own)

        self.down = [block(f"down_{i}", others) for i in range(down)]
        self.up = [block(f"up_{i}", others + 1) for i in range(up)]
        self.is_last = last
        if not last:
            self.shrink = ShiftedConv2D(features, **seen, strides=2, name="shrink", **own)
            self.enlarge = NormalisedDeconv2D(features, seen["kernel_shape"], name="enlarge", **own)

    @property
    def blocks(self) -> list[GatedResnet]:
        """Those of the way down, then those of the way up."""
        return [*self.down, *self.up]

    def build(self, input_shape: Shape, condition_shape: Shape | None = None) -> None:
        """Makes the weights."""
        for block in self.blocks:
            block.build(input_shape, condition_shape)
        if not self.is_last:
            self.shrink.build(input_shape)
            self.enlarge.build(input_shape)
        self.built = True

    def compute_output_shape(
        self, input_shape: Shape, condition_shape: Shape | None = None
    ) -> Shape:
        """Returns the shape of the maps that blocks take and give."""
        return input_shape


def make_stream(
    features: int,
    blocks: int,
    scales: int,
    seen: dict[str, tuple[int, int]],
    name: str = "stream",
    **kwargs: Any,
) -> list[Scale]:
    """The scales of one stream, the highest resolution first.

    Args:
      features: F.
      blocks: number of blocks at each scale on the way down.
      scales: number of resolutions; with one there is no way up.
      seen: see `Scale`.
      name: what names of scales begin with.
      **kwargs: those of `Scale`.

    Returns:
      A list of `Scale`.
    """
    return [
        Scale(
            features,
            blocks,
            0 if scales == 1 else blocks + (number < scales - 1),
            seen,
            last=number == scales - 1,
            name=f"{name}_{number}",
            **kwargs,
        )
        for number in range(scales)
    ]


def run_stream(stream: Sequence[Scale], x: tf.Tensor, run_block: Callable) -> tf.Tensor:
    """A stream over whole images.

    Args:
      stream: a list of `Scale`.
      x: its input [N, H, W, F].
      run_block: see `walk`.

    Returns:
      Its output [N, H, W, F].
    """

    def run_deeper(number, x, lower):
        y = stream[number].enlarge.slide(lower(stream[number].shrink(x)))
        return y[:, : x.shape[1], : x.shape[2]]

    return walk(stream, x, run_block, run_deeper)


def walk(
    stream: Sequence[Scale],
    x: tf.Tensor,
    run_block: Callable,
    run_deeper: Callable,
    number: int = 0,
) -> tf.Tensor:
    """The order of the blocks of one stream, for images, rows and pixels (Figure 2).

    Args:
      stream: those of the stream, the highest resolution first.
      x: its input.
      run_block: function (number of the scale, number of the block in it, input, what the block
        sees of the way down) → output.
      run_deeper: function (number of the scale, input, function from the input of the next scale to
        its output) → output, of the resolution of the input.
      number: of the scale at which x is.

    Returns:
      The output of the scale.
    """
    scale, mirrored = stream[number], [x]
    for i in range(len(scale.down)):
        x = run_block(number, i, x, ())
        mirrored.append(x)
    if scale.is_last:
        x = mirrored.pop()
    else:
        x = run_deeper(number, x, lambda y: walk(stream, y, run_block, run_deeper, number + 1))
    for i in range(len(scale.up)):
        x = run_block(number, len(scale.down) + i, x, (mirrored.pop(),))
    return x
