"""One stack of layers between a first masked convolution and the head: PixelCNN and PixelRNNs.

Source: "Pixel Recurrent Neural Networks" (van den Oord et al., 2016a), table 1. A family says what
a layer is.

What the paper leaves open, and our choice (docs/papers.md has all):
- skips: 1×1 from every layer's output, summed into the head, in the place of the last output;
- conditions: as in 2016b, V·c added to the pre-activation of every layer.
"""

from typing import Any

import tensorflow as tf

from gated_pixelcnn.layers import (
    Head,
    MaskedConv2D,
    PointwiseConv2D,
    SkipSum,
    colour_groups,
    initial_weights,
)
from gated_pixelcnn.layers.masked_convolution import check_kernel_size
from gated_pixelcnn.layers.ops import concat
from gated_pixelcnn.layers.stack_layer import StackLayer
from gated_pixelcnn.models.autoregressive_model import AutoregressiveModel
from gated_pixelcnn.sampling import CachedDecoder
from gated_pixelcnn.spec import Array


class SingleStack(AutoregressiveModel):
    """A masked convolution of type A, layers, and the head."""

    layer: type[StackLayer] | None = None  # of a family: the class of its layers

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 256,
        features: int = 128,
        layers: int = 15,
        first_kernel_size: int = 7,
        head_features: int | None = None,
        residual: bool = True,
        skips: bool = False,
        *,
        of_layers: dict,
        **kwargs: Any,
    ) -> None:
        """Makes the model.

        Args:
          image_shape: (H, W, C).
          levels: number of values per colour, 2…65,536.
          features: h, of which there are 2h maps between layers; a multiple of the colour groups.
          layers: number of layers after the first convolution.
          first_kernel_size: n of the first convolution, odd and at least 3.
          head_features: maps between the head's 1×1 convolutions; 2h by default.
          residual: whether layers have residual connections.
          skips: whether every layer is connected to the head.
          of_layers: arguments that only the layers of this family have, by name.
          **kwargs: those of `AutoregressiveModel` (likelihood, condition, …) and of Keras.

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(image_shape, levels, **kwargs)
        if layers < 1:
            raise ValueError(f"layers must be at least 1, got {layers}.")
        check_kernel_size(first_kernel_size, "first_kernel_size")
        head_features = head_features or 2 * features
        self.features = features
        colours, policy = self.colours, {"dtype": self.dtype_policy}
        colour_groups.check_divisible("features", features, colours)
        self.first = MaskedConv2D(
            2 * features,
            first_kernel_size,
            "A",
            colours,
            scale=1 / initial_weights.IMAGE,
            name="first",
            **policy,
        )
        self.first_condition = None
        if self.condition_map is not None:
            self.first_condition = PointwiseConv2D(
                2 * features,
                use_bias=False,
                scale=initial_weights.CONDITION,
                name="first_condition",
                **policy,
            )
        self.blocks = [
            self.layer(
                features=features,
                colours=colours,
                residual=residual,
                layers=layers,
                name=f"block_{i}",
                **of_layers,
                **policy,
            )
            for i in range(layers)
        ]
        self.skips = SkipSum(head_features, colours, name="skips", **policy) if skips else None
        sizes, exact = (head_features, self.output_features, colours), self.likelihood.is_logistic
        self.head = Head(*sizes, exact=exact, name="head", **policy)

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights, see `AutoregressiveModel.build`."""
        image = (None, *self.image_shape[:2], self.input_features)
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

    def project(self, condition: Array | None) -> tf.Tensor | float:
        """The condition's summand of the first convolution: [N, 1 or H, 1 or W, 2h], or 0."""
        return 0.0 if condition is None else self.first_condition(condition)

    def parameter_map(self, x: Array, condition: Array | None, training: bool = False) -> tf.Tensor:
        """See `AutoregressiveModel.parameter_map`."""
        x = self.first(x) + self.project(condition)
        outputs = []
        for block in self.blocks:
            (x,) = self.rematerialised(lambda *inputs, block=block: (block(*inputs),))(x, condition)
            outputs.append(x)
        return self.head(x if self.skips is None else self.skips(outputs))

    def cached_decoder(self, num: int | tf.Tensor, condition: Array | None) -> CachedDecoder:
        """See `AutoregressiveModel.cached_decoder`."""
        return SingleStackDecoder(self, num, condition)


class ConvolutionalStack(SingleStack):
    """One whose layers convolve: base of `PixelCNN` and `RowLSTMModel`."""

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 256,
        kernel_size: int = 3,
        **kwargs: Any,
    ) -> None:
        """Makes the model.

        Args:
          image_shape: (H, W, C).
          levels: number of values per colour, 2…65,536.
          kernel_size: n of the layers, odd and at least 3.
          **kwargs: those of `SingleStack`.

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(image_shape, levels, of_layers={"kernel_size": kernel_size}, **kwargs)


class SingleStackDecoder:
    """One stack, one row and one pixel at a time: a `sampling.CachedDecoder`.

    When a row is finished, what layers cached of its pixels becomes their states. From these
    comes, for the whole next row, what it has from above ("links"). Per pixel only the own row is
    left.
    """

    def __init__(self, model, num, condition):
        """Projects the condition and gathers each colour's weights, once for all pixels.

        Args:
          model: a SingleStack.
          num: number of images N.
          condition: output of `condition_map` or None.
        """
        self.model, self.num, self.dtype = model, num, model.compute_dtype
        self.projected = [model.project(condition)]
        self.projected += [block.project(condition) for block in model.blocks]
        self.colours = range(model.colours)
        self.firsts = [model.first.row.step(colour) for colour in self.colours]
        self.steps = [[block.step(colour) for block in model.blocks] for colour in self.colours]
        self.heads = [model.head.step(colour) for colour in self.colours]
        if model.skips is not None:
            self.skips = [model.skips.step(colour) for colour in self.colours]

    def first_rows(self):
        """States above row 0: the first convolution's ⌊n/2⌋ input rows, and those of the layers."""
        width, channels = self.model.image_shape[1], self.model.input_features
        rows = self.model.first.above.kernel_shape[0]
        image = (tf.zeros((self.num, 1, width, channels), self.dtype),) * rows
        return image, [block.first_state(self.num, width) for block in self.model.blocks]

    def first_row_cache(self):
        """See `row_cache`."""
        blocks = self.model.blocks
        shape = (self.model.image_shape[1], len(blocks), self.num)
        return tuple(tf.zeros((*shape, size), self.dtype) for size in blocks[0].cached_features)

    def row_cache(self, caches):
        """Cache of a row's pixels for the next row, see `StackLayer` [W, L, N, …]."""
        return tuple(array.stack() for array in caches[-1])

    def row(self, states, finished, row_cache, index):
        """Links of the row to come, from above.

        Args:
          states: of `first_rows` or of the row before.
          finished: the image's last finished row, scaled [N, W, C] (zeros before row 0).
          row_cache: of `row_cache`, for the finished row.
          index: of the row to come.

        Returns:
          New states, and the links of the first convolution [N, W, 2h] and of the layers
          [L, N, W, features].
        """
        image, old = states
        first, blocks = self.model.first, self.model.blocks
        _, *projected = self._projected_at(tf.maximum(index - 1, 0))
        rows = [tf.unstack(tf.transpose(x, [1, 2, 0, 3])) for x in row_cache]  # by block [N, W, …]
        new = [
            block.state(tuple(x[:, tf.newaxis] for x in row), state, here)
            for block, *row, state, here in zip(blocks, *rows, old, projected, strict=True)
        ]
        # There is no row before row 0: what layers would make of zeros is not their first state.
        image, states = tf.nest.map_structure(
            lambda new, old: tf.where(index > 0, new, old),
            ((*image[1:], finished[:, tf.newaxis]), new),
            (image, old),
        )
        above, *projected = self._projected_at(index)
        link = (first.from_above(image) + above)[:, 0]
        links = [
            block.link(state, here)[:, 0]
            for block, state, here in zip(blocks, states, projected, strict=True)
        ]
        return (image, states), (link, tf.stack(links))

    def by_pixels(self, row):
        """What `row` gave, as `pixel` reads it.

        Links of the first convolution [W, colours, N, 2h / colours] and of the layers
        [W, colours, L, N, features / colours].
        """
        link, links = row
        link = tf.stack([self._of_colour(link, colour) for colour in self.colours])
        parts = self.model.blocks[0].link_parts
        links = tf.stack([self._of_colour(links, colour, parts) for colour in self.colours])
        return tf.transpose(link, [2, 0, 1, 3]), tf.transpose(links, [3, 0, 1, 2, 4])

    def whole_row(self, row, x):
        """All layers over all pixels of a row, see `sampling.CachedDecoder`."""
        model, (link, links) = self.model, row
        x = model.first.row(x) + link[:, tf.newaxis]
        outputs, caches = [], []
        for block, link in zip(model.blocks, tf.unstack(links), strict=True):
            x, cached = block.across(x, link[:, tf.newaxis])
            outputs.append(x)
            caches.append(cached)
        cache = tuple(
            tf.transpose(tf.concat(of_layers, axis=1), [2, 1, 0, 3])
            for of_layers in zip(*caches, strict=True)
        )
        return model.head(x if model.skips is None else model.skips(outputs)), cache

    def _projected_at(self, index):
        """The row `index` of every projected condition, or what all rows share."""

        def at(projected):
            if not tf.is_tensor(projected) or projected.shape[1] == 1:
                return projected
            return projected[:, index][:, tf.newaxis]

        return tf.nest.map_structure(at, self.projected)

    def _of_colour(self, links, colour, parts=1):
        """The features of one colour: [..., F] → [..., F / colours]."""
        if self.model.colours == 1:
            return links
        wanted = colour_groups.columns(links.shape[-1], self.model.colours, colour, parts)
        return tf.gather(links, wanted, axis=-1)

    def first_pixels(self, num):
        """Caches before pixel 0 of a row: what every layer looks back at.

        Returns:
          The first convolution's last inputs [N, pixels·C], zeros; for each pixel that the layers
          look back, the oldest first, what they read of it, tensors [L, N, features]; and arrays
          for what they keep of the row.
        """
        first, blocks = self.model.first.row, self.model.blocks
        window = tf.zeros((num, first.pixels_before * first.kernel.shape[2]), self.dtype)
        pixels = zip(*(block.first_pixels(num) for block in blocks), strict=True)
        before = [tuple(map(tf.stack, zip(*pixel, strict=True))) for pixel in pixels]
        arrays = tuple(
            tf.TensorArray(
                self.dtype, self.model.image_shape[1], element_shape=(len(blocks), None, size)
            )
            for size in blocks[0].cached_features
        )
        return window, before, arrays

    def pixel(self, caches, links, index, draw):
        """Runs one pixel through all layers, colour by colour; see `sampling.CachedDecoder`."""
        window, before, arrays = caches
        first_links, block_links = (tf.unstack(x[index]) for x in links)
        layers = range(len(self.model.blocks))
        left = [list(zip(*map(tf.unstack, pixel), strict=True)) for pixel in before]
        drawn, features, hidden = [], [], []
        inputs, seen, cached, actives, outputs = ([[] for _ in layers] for _ in range(5))
        for colour in self.colours:
            x = self.firsts[colour](concat([window, *drawn])) + first_links[colour]
            for i, link in zip(layers, tf.unstack(block_links[colour]), strict=True):
                inputs[i].append(x)
                x, *here, active = self.steps[colour][i](
                    inputs[i], seen[i], [pixel[i] for pixel in left], link, actives[i]
                )
                for of_block, value in zip((seen, cached), here, strict=True):
                    of_block[i].append(value)
                actives[i].append(active)
                outputs[i].append(x)
            if self.model.skips is not None:
                x = self.skips[colour](concat([y for block in outputs for y in block]))
            features.append(x)
            y, h = self.heads[colour](concat(features), hidden)
            hidden.append(h)
            drawn.append(draw(colour, y))
        window = tf.concat([window, *drawn], axis=-1)[:, self.model.input_features :]
        seen, cached = of_all_colours(seen), of_all_colours(cached)
        arrays = tuple(a.write(index, x) for a, x in zip(arrays, cached, strict=True))
        return window, [*before, seen][1:], arrays


def of_all_colours(of_blocks):
    """Block → colour → tuple of tensors [N, f / colours] to a tuple of tensors [L, N, f]."""
    joined = [tuple(map(concat, zip(*colours, strict=True))) for colours in of_blocks]
    return tuple(map(tf.stack, zip(*joined, strict=True)))
