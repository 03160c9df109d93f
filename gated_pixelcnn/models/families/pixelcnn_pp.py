"""PixelCNN++: two streams of gated residual blocks at several resolutions.

Source: "PixelCNN++" (Salimans et al., 2017), section 2 and Figure 2; sizes and initial values as in
the authors' code.

    image ─→ u, the rows above ───→ 5 blocks ─→ half ─→ 5 ─→ half ─→ 5 ┐
          ─→ ul, above and left ─→   (a block of ul also sees u's)     │
    parameters ←─ 1×1 ←─ elu ←─ 6 blocks ←─ twice ←─ 6 ←─ twice ←─ 5 ←─┘
                              (a block also sees its mirror image of the way down)

As a pixel's colours share the parameters of a mixture, they need no groups inside the network.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from gated_pixelcnn.layers.gated_resnet import ABOVE, ABOVE_AND_LEFT, ShiftedConv2D
from gated_pixelcnn.layers.stream import make_stream, run_stream
from gated_pixelcnn.layers.weight_norm import NormalisedConv2D
from gated_pixelcnn.models.autoregressive_model import AutoregressiveModel
from gated_pixelcnn.models.pixelcnn_pp_decoder import PixelCNNPPDecoder
from gated_pixelcnn.models.registry import register
from gated_pixelcnn.sampling import CachedDecoder
from gated_pixelcnn.spec import Array, check_integer


@register("pixelcnn_pp")
class PixelCNNPP(AutoregressiveModel):
    """PixelCNN++ with any number of resolutions.

    Training by `train` lets the first images set initial values; who uses Keras' `fit` calls
    `model.initialise(images)` before.
    """

    has_whole_rows = True
    initialised_by_data = True

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 256,
        likelihood: str = "mixture",
        features: int = 160,
        blocks: int = 5,
        scales: int = 3,
        dropout: float = 0.5,
        **kwargs: Any,
    ) -> None:
        """Makes the model.

        Args:
          image_shape: (H, W, C), with more than one scale H and W are even.
          levels: number of values per colour, 2…65,536.
          likelihood: see `AutoregressiveModel`; "mixture" for images of several colours.
          features: F.
          blocks: number of blocks at each scale on the way down.
          scales: number of resolutions; with one the blocks stand in a row.
          dropout: share of the features inside a block that is dropped in training.
          **kwargs: those of `AutoregressiveModel` (condition, …) and of Keras.

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(image_shape, levels, likelihood=likelihood, **kwargs)
        for name, value in {"features": features, "blocks": blocks, "scales": scales}.items():
            check_integer(name, value, 1)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}.")
        if self.colours > 1:
            raise ValueError(
                f"PixelCNN++ draws the colours of a pixel from one mixture: images of "
                f"{image_shape[-1]} colours need likelihood='mixture', got {likelihood!r}."
            )
        if scales > 1 and (image_shape[0] % 2 or image_shape[1] % 2):
            raise ValueError(
                f"image_shape must have an even height and width to be halved, got "
                f"{tuple(image_shape)}; set scales=1 or another image_size."
            )
        self.features, self.scales = features, scales
        policy = {"dtype": self.dtype_policy}
        self.first_up = ShiftedConv2D(features, (2, 3), (-1, 1), name="first_up", **policy)
        self.first_above = ShiftedConv2D(features, (1, 3), (-1, 1), name="first_above", **policy)
        self.first_left = ShiftedConv2D(features, (2, 1), (0, -1), name="first_left", **policy)
        own = {"dropout": dropout, **policy}
        self.above = make_stream(features, blocks, scales, ABOVE, name="u", **own)
        self.above_left = make_stream(
            features, blocks, scales, ABOVE_AND_LEFT, name="ul", others=1, **own
        )
        outputs = self.output_features
        # In half precision means near 1 would be rounded by a part of a bin.
        exact = "float64" if self.compute_dtype == "float64" else "float32"
        self.head = NormalisedConv2D(outputs, (1, 1), name="head", dtype=exact)

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights, see `AutoregressiveModel.build`."""
        height, width, _ = self.image_shape
        for first in (self.first_up, self.first_above, self.first_left):
            first.build((None, height, width, self.input_features + 1))
        maps, condition = (None, None, None, self.features), None
        if self.condition_map is not None:
            condition = (None, None, None, self.condition_map.output_features)
        for scale in (*self.above, *self.above_left):
            scale.build(maps, condition)
        self.head.build(maps)
        super().build()

    def conditions(self, condition: Array | None) -> list:
        """A condition at every scale: [N, 1 or H, 1 or W, D], maps as means of 2×2; or None."""
        scaled = [condition]
        for _ in range(1, self.scales):
            if condition is not None and condition.shape[1:3] != (1, 1):
                condition = tf.nn.avg_pool2d(condition, 2, 2, "SAME")
            scaled.append(condition)
        return scaled

    @staticmethod
    def with_ones(x: tf.Tensor) -> tf.Tensor:
        """Adds a channel of ones, which tells the image from what is around it."""
        return tf.concat([x, tf.ones_like(x[..., :1])], axis=-1)

    def parameter_map(self, x: Array, condition: Array | None, training: bool = False) -> tf.Tensor:
        """See `AutoregressiveModel.parameter_map`."""
        x, conditions = self.with_ones(x), self.conditions(condition)
        _, of_above = self._stream(self.above, self.first_up(x), None, conditions, training)
        x = self.first_above(x) + self.first_left(x)
        x, _ = self._stream(self.above_left, x, of_above, conditions, training)
        return self.parameters_of(self.head.slide, x)

    def parameters_of(self, head: Callable, x: Array) -> tf.Tensor:
        """Applies the head to the output of ul, for images or at a pixel."""
        return head(tf.cast(tf.nn.elu(x), self.head.compute_dtype))

    def normalised_layers(self) -> list:
        """All layers with weight normalisation that have weights."""
        layers = self._flatten_layers()
        return [x for x in layers if isinstance(x, NormalisedConv2D) and x.built]

    def _stream(self, stream, x, others, conditions, training):
        """A stream over whole images: its output, and lists by scale of what blocks gave."""
        outputs = [[] for _ in stream]

        def run_block(number, i, x, mirrored):
            block = stream[number].blocks[i]
            seen = mirrored if others is None else (others[number][i], *mirrored)
            condition = conditions[number]

            def run(condition, *inputs):
                return (block(*inputs, condition=condition, training=training),)

            (y,) = self.rematerialised(run)(condition, x, *seen)
            outputs[number].append(y)
            return y

        return run_stream(stream, x, run_block), outputs

    def cached_decoder(self, num: int | tf.Tensor, condition: Array | None) -> CachedDecoder:
        """See `AutoregressiveModel.cached_decoder`."""
        return PixelCNNPPDecoder(self, num, condition)
