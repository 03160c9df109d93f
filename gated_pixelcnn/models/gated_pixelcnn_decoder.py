"""Gated PixelCNN one row and one pixel at a time, for sampling."""

import tensorflow as tf

from gated_pixelcnn.layers import colour_groups
from gated_pixelcnn.layers.cached_attention import CachedAttentions
from gated_pixelcnn.layers.ops import concat


class GatedPixelCNNDecoder:
    """Gated PixelCNN one row and one pixel at a time: a `sampling.CachedDecoder`.

    Per row the whole vertical stack advances, over windows of cached rows, and leaves each block's
    contribution to the row's horizontal pre-activations ("links"). Per pixel and colour only the
    horizontal stack advances, over windows of cached pixels.
    """

    def __init__(self, model, num, condition):
        """Projects the condition and gathers each colour's weights, once for all pixels.

        Args:
          model: a GatedPixelCNN.
          num: number of images N.
          condition: output of `condition_map` or None.
        """
        self.model, self.num, self.dtype = model, num, model.compute_dtype
        self.projected = [block.project(condition) for block in model.blocks]
        self.colours = range(model.colours)
        self.steps = [[block.step(colour) for block in model.blocks] for colour in self.colours]
        self.heads = [model.head.step(colour) for colour in self.colours]
        self.attentions = CachedAttentions(model.attentions, num, model.image_shape)
        if model.skips is not None:
            self.skips = [model.skips.step(colour) for colour in self.colours]

    def first_rows(self):
        """Caches before row 0: every block's last ⌈n/2⌉−1 inputs, zeros [N, 1, W, inputs].

        And of the attentions.
        """
        width = self.model.image_shape[1]
        convs = [block.column_conv for block in self.model.blocks]
        rows = [
            [tf.zeros((self.num, 1, width, c.kernel.shape[2]), self.dtype)] * c.rows_before
            for c in convs
        ]
        return rows, self.attentions.first_rows()

    def first_row_cache(self):
        """See `row_cache`."""
        return (), self.attentions.first_row_cache()

    def row_cache(self, caches):
        """That of the attentions; the vertical stack never sees the horizontal one."""
        return (), self.attentions.row_cache(caches[2])

    def row(self, caches, finished, row_cache, index):
        """Advances the vertical stack by one row.

        Args:
          caches: of `first_rows` or of the row before.
          finished: the image's last finished row, scaled [N, W, C] (zeros before row 0).
          row_cache: of `row_cache`, for the finished row.
          index: of the row to come.

        Returns:
          New caches, and the links of all blocks [blocks, N, W, 2p] with what the attentions read
          of the rows above.
        """
        (caches, attended), (row_cache, keys_values) = caches, row_cache
        attended, above = self.attentions.row(attended, keys_values, index)
        x = finished[:, tf.newaxis]
        new, links = [], []
        for number, block in enumerate(self.model.blocks):
            rows = [*caches[number], x if number == 0 else self.above(number, x, row_cache)]
            new.append(rows[1:])
            window = tf.concat(rows, axis=1)
            projected = self.projected[number]
            here = [p[:, index][:, tf.newaxis] if is_map(p) else p for p in projected]
            x, link = block.vertical(block.column_conv.pad_sides(window), here)
            links.append(link[:, 0])
        return (new, attended), (tf.stack(links), above)

    def by_pixels(self, row):
        """What `row` gave, as `pixel` reads it: links [W, colours, blocks, N, 2p / colours]."""
        links, above = row
        links = tf.stack([self._of_colour(links, colour) for colour in self.colours])
        return tf.transpose(links, [3, 0, 1, 2, 4]), above

    def whole_row(self, row, x):
        """The horizontal stack over all pixels of a row, see `sampling.CachedDecoder`."""
        model, (links, above) = self.model, row
        attend, keys_values = self.attentions.whole_row(above, x)
        gates, inputs = [], []
        for i, (block, link) in enumerate(zip(model.blocks, tf.unstack(links), strict=True)):
            inputs.append(x)
            x, gated = block.across(x, link[:, tf.newaxis])
            gates.append(gated)
            if i in attend:
                x = attend[i](x)
        x = x if model.skips is None else model.skips(gates)
        return model.head(x), (self.cache_of_inputs(inputs[1:]), keys_values)

    def cache_of_inputs(self, inputs):
        """What `row_cache` has of blocks' inputs but the first one's, a list of [N, 1, W, p]."""
        return ()

    def above(self, number, x, row_cache):
        """The newest row as a block but the first sees it: the vertical output before it."""
        return x

    def _of_colour(self, links, colour):
        """The links' columns of one colour: [L, N, W, 2p] → [L, N, W, 2p / colours]."""
        if self.model.colours == 1:
            return links
        block = self.model.blocks[0]
        wanted = colour_groups.columns(block.pre, self.model.colours, colour, block.unit.parts)
        return tf.gather(links, wanted, axis=-1)

    def first_pixels(self, num):
        """Caches before pixel 0 of a row, zeros.

        Blocks come first: cutting a tensor along its first axis copies nothing.

        Returns:
          The first block's last inputs [N, pixels·C] and, for each pixel that the later blocks look
          back, the oldest first, the inputs of all these blocks [blocks, N, p]; and those of the
          attentions.
        """
        first, *later = [block.row_conv for block in self.model.blocks]
        window = tf.zeros((num, first.pixels_before * first.kernel.shape[2]), self.dtype)
        shape = (len(later), num, self.model.features)
        later = [tf.zeros(shape, self.dtype)] * (later[0].pixels_before if later else 0)
        return window, later, self.attentions.first_pixels(num)

    def pixel(self, caches, row, index, draw):
        """Advances the horizontal stack by one pixel.

        Args:
          caches: of `first_pixels` or of the pixel before.
          row: of `by_pixels`.
          index: of the pixel in its row.
          draw: function (colour, parameters [N, P]) → the drawn value, scaled [N, values], of this
            colour or, where they share parameters, of all.

        Returns:
          New caches.
        """
        (first, later, keys_values), (links, above) = caches, row
        attend, remember = self.attentions.pixel(above, keys_values, index)
        later_before = [tf.unstack(pixel) for pixel in later]
        links = tf.unstack(links[index])  # per colour [blocks, N, 2p / colours]
        inputs = [[] for _ in self.model.blocks]  # of this pixel, colour by colour
        gates = [[] for _ in self.model.blocks]
        features, hidden = [], []
        nothing = tf.zeros((tf.shape(links[0])[1], 0), self.dtype)  # what a 1×1 kernel sees of R
        for colour in self.colours:
            x = None
            for i, (step, link) in enumerate(
                zip(self.steps[colour], tf.unstack(links[colour]), strict=True)
            ):
                if i > 0:
                    inputs[i].append(x)
                before = [pixel[i - 1] for pixel in later_before] if i else [first]
                window = concat([*before, *inputs[i]] or [nothing])
                x, gated = step(window, link, x, gates[i])
                gates[i].append(gated)
                if i in attend:
                    x = attend[i](colour, x)
            if self.model.skips is not None:
                x = self.skips[colour](concat([g for block in gates for g in block]))
            features.append(x)
            y, h = self.heads[colour](concat(features), hidden)
            hidden.append(h)
            inputs[0].append(draw(colour, y))
        drawn, *inputs = inputs
        keys_values = remember(concat(drawn))
        first = tf.concat([first, *drawn], axis=-1)[:, self.model.input_features :]
        if later:
            later = [*later, tf.stack([concat(block) for block in inputs])][1:]
        return first, later, keys_values


class OneStackDecoder(GatedPixelCNNDecoder):
    """The same of one stack: what the next row needs of a row are the inputs of its blocks."""

    def first_row_cache(self):
        """See `row_cache`."""
        width, model = self.model.image_shape[1], self.model
        inputs = tf.zeros((width, len(model.blocks) - 1, self.num, model.features), self.dtype)
        return inputs, super().first_row_cache()[1]

    def row_cache(self, caches):
        """The inputs of a row's pixels of all blocks but the first [W, blocks, N, p]."""
        return caches[-1].stack(), super().row_cache(caches)[1]

    def cache_of_inputs(self, inputs):
        """See `GatedPixelCNNDecoder`."""
        width, features = self.model.image_shape[1], self.model.features
        if not inputs:
            return tf.zeros((width, 0, self.num, features), self.dtype)
        return tf.transpose(tf.concat(inputs, axis=1), [2, 1, 0, 3])

    def above(self, number, x, row_cache):
        """See `GatedPixelCNNDecoder`: its own input."""
        return tf.transpose(row_cache[:, number - 1], [1, 0, 2])[:, tf.newaxis]

    def first_pixels(self, num):
        """See `GatedPixelCNNDecoder`, and an array for the cache of the row."""
        model = self.model
        shape = (len(model.blocks) - 1, None, model.features)
        array = tf.TensorArray(self.dtype, model.image_shape[1], element_shape=shape)
        return *super().first_pixels(num), array

    def pixel(self, caches, row, index, draw):
        """See `GatedPixelCNNDecoder`."""
        *caches, array = caches
        first, later, keys_values = super().pixel(caches, row, index, draw)
        none = tf.zeros((0, tf.shape(first)[0], self.model.features), self.dtype)
        inputs = later[-1] if later else none  # of one block, which is the first
        return first, later, keys_values, array.write(index, inputs)


def is_map(projected):
    """Whether a projected condition has values at every row (and not one for all)."""
    return tf.is_tensor(projected) and projected.shape[1] != 1
