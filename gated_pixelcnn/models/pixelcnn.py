"""PixelCNN: one stack of masked convolutions, blind spot and all.

Source: "Pixel Recurrent Neural Networks" (van den Oord et al., 2016a), section 3.4, Figure 5 and
table 1.

What the paper leaves open, and our choice (BUILD_NOTES.md tells why):
- skips: 1×1 from every block's output, summed into the head, in the place of its last output;
- conditions: as in 2016b, V·c added to the pre-activation of every masked convolution.
"""

import keras
import tensorflow as tf

from gated_pixelcnn.layers import (
    Head,
    MaskedBlock,
    MaskedConv2D,
    PointwiseConv2D,
    SkipSum,
    colour_groups,
)
from gated_pixelcnn.layers.gated_block import concat
from gated_pixelcnn.models.base import DensityModel


@keras.saving.register_keras_serializable("gated_pixelcnn")
class PixelCNN(DensityModel):
    """A masked convolution of type A, residual blocks of type B, and the head."""

    def __init__(
        self,
        image_shape,
        levels=256,
        features=128,
        layers=15,
        kernel_size=3,
        first_kernel_size=7,
        head_features=None,
        residual=True,
        skips=False,
        **kwargs,
    ):
        """Makes the model.

        Args:
          image_shape: (H, W, C).
          levels: number of values per colour, 2…256.
          features: h, of which there are 2h maps between blocks; a multiple of the colour groups.
          layers: number of residual blocks.
          kernel_size: n of the blocks, odd and at least 3.
          first_kernel_size: n of the first convolution, odd and at least 3.
          head_features: maps between the head's 1×1 convolutions; 2h by default.
          residual: whether blocks have residual connections.
          skips: whether every block is connected to the head.
          **kwargs: those of `DensityModel` (likelihood, condition, …) and of Keras.

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(image_shape, levels, **kwargs)
        if layers < 1:
            raise ValueError(f"layers must be at least 1, got {layers}.")
        head_features = head_features or 2 * features
        own = {
            "features": features,
            "layers": layers,
            "kernel_size": kernel_size,
            "first_kernel_size": first_kernel_size,
            "head_features": head_features,
            "residual": residual,
            "skips": skips,
        }
        self._config.update(own)
        self.features = features
        colours, policy = self.colours, {"dtype": self.dtype_policy}
        colour_groups.check_divisible("features", features, colours)
        self.first = MaskedConv2D(
            2 * features, first_kernel_size, "A", colours, name="first", **policy
        )
        self.first_condition = PointwiseConv2D(
            2 * features, use_bias=False, name="first_condition", **policy
        )
        self.blocks = [
            MaskedBlock(features, kernel_size, colours, residual, name=f"block_{i}", **policy)
            for i in range(layers)
        ]
        self.skips = SkipSum(head_features, colours, name="skips", **policy) if skips else None
        outputs = self.likelihood.parameters_per_pixel
        self.head = Head(head_features, outputs, colours, name="head", **policy)

    def build(self, input_shape=None):
        """Makes all weights, see `DensityModel.build`."""
        image = (None, *self.image_shape)
        maps = (*image[:-1], 2 * self.features)
        condition = None
        self.first.build(image)
        if self.condition_map is not None:
            condition = (None, None, None, self.condition_map.output_features)
            self.first_condition.build(condition)
        for block in self.blocks:
            block.build(maps, condition)
        if self.skips is not None:
            self.skips.build([maps] * len(self.blocks))
            maps = (*maps[:-1], self.skips.filters)
        self.head.build(maps)
        super().build()

    def project(self, condition):
        """What the condition adds to the first convolution: [N, 1 or H, 1 or W, 2h], or 0."""
        return 0.0 if condition is None else self.first_condition(condition)

    def parameter_map(self, x, condition, training=False):
        """See `DensityModel.parameter_map`."""
        x = self.first(x) + self.project(condition)
        outputs = []
        for block in self.blocks:
            (x,) = self.rematerialised(lambda *inputs, block=block: (block(*inputs),))(x, condition)
            outputs.append(x)
        return self.head(x if self.skips is None else self.skips(outputs))

    def incremental(self, num, condition):
        """See `DensityModel.incremental`."""
        return PixelCNNView(self, num, condition)


class PixelCNNView:
    """PixelCNN one row and one pixel at a time: a `sampling.IncrementalView`.

    When a row is finished all layers run over it at once, for what the rows to come will read of
    it, ⌊n/2⌋ rows of every convolution's input. From these comes, for the whole next row, what its
    masked convolutions have of the rows above ("links"). Per pixel only the own row is left.
    """

    def __init__(self, model, num, condition):
        """Projects the condition and gathers each colour's weights, once for all pixels.

        Args:
          model: a PixelCNN.
          num: number of images N.
          condition: output of `condition_map` or None.
        """
        self.model, self.num, self.dtype = model, num, model.compute_dtype
        self.projected = [model.project(condition)]
        self.projected += [block.project(condition) for block in model.blocks]
        self.convs = [model.first, *(block.conv for block in model.blocks)]
        self.colours = range(model.colours)
        self.firsts = [model.first.row.step(colour) for colour in self.colours]
        self.steps = [[block.step(colour) for block in model.blocks] for colour in self.colours]
        self.heads = [model.head.step(colour) for colour in self.colours]
        if model.skips is not None:
            self.skips = [model.skips.step(colour) for colour in self.colours]

    def first_rows(self):
        """Caches before row 0: ⌊n/2⌋ input rows of every masked convolution, zeros [N, 1, W, F]."""
        width = self.model.image_shape[1]
        return [
            [tf.zeros((self.num, 1, width, inputs), self.dtype)] * conv.above.kernel_shape[0]
            for conv in self.convs
            for inputs in [conv.above.kernel.shape[2]]
        ]

    def row(self, caches, finished, index):
        """Runs all layers over the finished row; then what the row to come has from above.

        Args:
          caches: of `first_rows` or of the row before.
          finished: the image's last finished row, scaled [N, W, C] (zeros before row 0).
          index: of the row to come.

        Returns:
          New caches, and the links of the first convolution [W, colours, N, 2h / colours] and of
          the blocks [W, colours, L, N, h / colours].
        """
        here = [self._at(p, tf.maximum(index - 1, 0)) for p in self.projected]
        image = finished[:, tf.newaxis]
        first = self.model.first
        rows = [image]
        x = first.from_above(caches[0]) + first.row(image) + here[0]
        for block, cache, projected in zip(self.model.blocks, caches[1:], here[1:], strict=True):
            x, z = block.row(x, cache, projected)
            rows.append(z)
        # The row before row 0 is padding: zeros, and not what biases would make of zeros.
        there = tf.cast(index > 0, self.dtype)
        caches = [[*cache[1:], row * there] for cache, row in zip(caches, rows, strict=True)]
        here = [self._at(p, index) for p in self.projected]
        links = [
            (conv.from_above(cache) + projected)[:, 0]
            for conv, cache, projected in zip(self.convs, caches, here, strict=True)
        ]
        first = tf.stack([self._of_colour(links[0], c) for c in self.colours])
        blocks = tf.stack(links[1:])
        blocks = tf.stack([self._of_colour(blocks, c) for c in self.colours])
        return caches, (tf.transpose(first, [2, 0, 1, 3]), tf.transpose(blocks, [3, 0, 1, 2, 4]))

    @staticmethod
    def _at(projected, index):
        """The row `index` of a projected condition, or what all rows share."""
        if not tf.is_tensor(projected) or projected.shape[1] == 1:
            return projected
        return projected[:, index][:, tf.newaxis]

    def _of_colour(self, links, colour):
        """The features of one colour: [..., F] → [..., F / colours]."""
        wanted = colour_groups.columns(links.shape[-1], self.model.colours, colour)
        return links[..., wanted[0] : wanted[-1] + 1]

    def first_pixels(self, num):
        """Caches before pixel 0 of a row, zeros: what every masked convolution looks back at.

        Returns:
          The first one's last inputs [N, pixels·C] and, for each pixel that the others look back,
          the oldest first, their inputs [L, N, h].
        """
        first, *others = [conv.row for conv in self.convs]
        window = tf.zeros((num, first.pixels_before * first.kernel.shape[2]), self.dtype)
        shape = (len(others), num, self.model.features)
        return window, [tf.zeros(shape, self.dtype)] * others[0].pixels_before

    def pixel(self, caches, links, index, draw):
        """Runs one pixel through all layers, colour by colour; see `sampling.IncrementalView`."""
        window, before = caches
        first_links, block_links = (tf.unstack(x[index]) for x in links)
        left = [tf.unstack(pixel) for pixel in before]
        layers = range(len(self.model.blocks))
        drawn, features, hidden = [], [], []
        inputs, zs, actives, outputs = ([[] for _ in layers] for _ in range(4))
        for colour in self.colours:
            x = self.firsts[colour](concat([window, *drawn])) + first_links[colour]
            for i, link in zip(layers, tf.unstack(block_links[colour]), strict=True):
                inputs[i].append(x)
                x, z, active = self.steps[colour][i](
                    inputs[i], zs[i], [pixel[i] for pixel in left], link, actives[i]
                )
                zs[i].append(z)
                actives[i].append(active)
                outputs[i].append(x)
            if self.model.skips is not None:
                x = self.skips[colour](concat([y for block in outputs for y in block]))
            features.append(x)
            y, h = self.heads[colour](concat(features), hidden)
            hidden.append(h)
            drawn.append(draw(colour, y))
        window = tf.concat([window, *drawn], axis=-1)[:, self.model.image_shape[-1] :]
        return window, [*before, tf.stack([concat(z) for z in zs])][1:]
