"""The causal attention of a model one row and one pixel at a time, see `sampling.CachedDecoder`.

What is kept are the keys and values of all finished positions: those of finished rows, which the
pixels of a row only read, and those of the row, to which every pixel adds its own. A pixel has one
query for each colour.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from gated_pixelcnn.layers.causal_attention import CausalAttention, attend
from gated_pixelcnn.layers.ops import concat
from gated_pixelcnn.spec import Shape


class CachedAttention:
    """A `CausalAttention` at the pixels of a row."""

    def __init__(self, layer: CausalAttention, num: int | tf.Tensor, image_shape: Shape) -> None:
        """Gathers each colour's weights, once for all pixels.

        Args:
          layer: the layer.
          num: number of images N.
          image_shape: (H, W, C).
        """
        self.layer, (self.height, self.width, _) = layer, image_shape
        self.shape = (2 * layer.heads, num, self.height, self.width * layer.head_features)
        kinds = layer.query, layer.own_conv, layer.attended_conv, layer.output_conv
        self.steps = [[kind.step(colour) for kind in kinds] for colour in range(layer.colours)]
        self.key_value, self.place = layer.key_value.step(0), layer.place.step(0)

    def first_rows(self) -> tf.Tensor:
        """Keys and values before row 0, zeros [2·heads, N, H, W·d]."""
        return tf.zeros(self.shape, self.layer.compute_dtype)

    def first_row_cache(self) -> tf.Tensor:
        """Those of the row before row 0, zeros [2·heads, N, W·d]; nothing attends to them."""
        return tf.zeros((*self.shape[:2], self.shape[-1]), self.layer.compute_dtype)

    def row(self, rows: tf.Tensor, row_cache: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Takes those of the row before `index` into those of all rows."""
        finished = tf.range(self.height) == index - 1
        return tf.where(finished[:, tf.newaxis], row_cache[:, :, tf.newaxis], rows)

    def for_pixels(self, rows: tf.Tensor) -> list[tf.Tensor]:
        """All rows as `pixel` takes them: keys and values apart [heads, N, H·W·d].

        XLA would cut and copy them anew for every pixel.
        """
        return tf.split(tf.reshape(rows, (self.shape[0], -1, self.height * self.shape[-1])), 2)

    def first_pixels(self, num: int | tf.Tensor) -> tf.Tensor:
        """Those of a row before its pixel 0, zeros [2·heads, num, W, d]."""
        shape = (self.shape[0], num, self.width, self.layer.head_features)
        return tf.zeros(shape, self.layer.compute_dtype)

    def row_cache(self, row: tf.Tensor) -> tf.Tensor:
        """Those of a row that is finished [2·heads, N, W·d]."""
        return tf.reshape(row, (self.shape[0], -1, self.shape[-1]))

    def whole_row(
        self, rows: Sequence, number: tf.Tensor, x: tf.Tensor, image: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The block over all pixels of a row at once.

        Args:
          rows: of `for_pixels`.
          number: of the row, for every image [N, 1].
          x: the row's features [N, 1, W, p].
          image: the row as the first block sees it [N, 1, W, C].

        Returns:
          [N, 1, W, p], and the cache of `row_cache`.
        """
        layer = self.layer
        columns = tf.range(self.width)[tf.newaxis, tf.newaxis]
        index = tf.broadcast_to(number[:1, :, tf.newaxis], tf.shape(columns))
        place = layer.place.slide(layer.coordinates(index, columns, self.height, self.width))
        shape = (layer.heads, -1, self.height * self.width, layer.head_features)
        keys, values = (tf.reshape(of_rows, shape) for of_rows in rows)
        above = tf.range(self.height * self.width) < number[0] * self.width
        y, key_value = layer.across(x, image, place, [(keys, values, above)])
        return y, self.row_cache(key_value)

    def pixel(
        self, rows: Sequence, row: tf.Tensor, number: tf.Tensor, index: tf.Tensor
    ) -> tuple[Callable, Callable]:
        """The block at one pixel.

        Args:
          rows: of `for_pixels`.
          row: of `first_pixels` or of the pixel before.
          number: of the row, for every image [N, 1].
          index: of the pixel in its row.

        Returns:
          A function (colour, x [N, p / colours]) → y, to be called for each colour in order; and,
          to be called after it, one of the pixel's values [N, C] → `row` for the next pixel.
        """
        layer, positions = self.layer, self.height * self.width
        columns = tf.fill(tf.shape(number)[:1], index)
        place = self.place(layer.coordinates(number[:, 0], columns, self.height, self.width))
        for_query, for_key_value = layer.split_place(place)
        for_query = tf.split(for_query, layer.colours, axis=-1)
        shape = (layer.heads, -1, positions, layer.head_features)
        finished = [tf.reshape(of_rows, shape) for of_rows in rows]
        above = tf.range(positions) < number * self.width  # [N, H·W]
        left = tf.range(self.width) < index
        parts = [(*finished, above[:, tf.newaxis]), (*tf.split(row, 2), left)]
        xs, found, gates = [], [], []

        def block(colour, x):
            query, own_conv, attended_conv, output_conv = self.steps[colour]
            xs.append(x)
            seen = concat(xs)
            queries = layer.of_heads(query(seen) + for_query[colour], 1)
            attended = tf.transpose(attend(queries, parts)[:, :, 0], [1, 0, 2])
            found.append(tf.reshape(attended, (-1, layer.heads * layer.head_features)))
            gates.append(layer.unit.function(own_conv(seen) + attended_conv(concat(found))))
            return x + output_conv(concat(gates))

        def remember(values):
            key_value = self.key_value(tf.concat([*xs, values], axis=-1)) + for_key_value
            here = (tf.range(self.width) == index)[:, tf.newaxis]
            return tf.where(here, layer.of_heads(key_value, 1), row)

        return block, remember


class CachedAttentions:
    """Those of a model: what is kept is a list, of a tensor for each of them."""

    def __init__(
        self, layers: Sequence[CausalAttention | None], num: int | tf.Tensor, image_shape: Shape
    ) -> None:
        """Gathers the weights.

        Args:
          layers: the attention after each block, or None.
          num: number of images N.
          image_shape: (H, W, C).
        """
        self.num = num
        self.after = [i for i, layer in enumerate(layers) if layer is not None]  # which block
        self.each = [CachedAttention(layers[i], num, image_shape) for i in self.after]

    def first_rows(self) -> list[tf.Tensor]:
        """See `CachedAttention`."""
        return [each.first_rows() for each in self.each]

    def first_row_cache(self) -> list[tf.Tensor]:
        """See `CachedAttention`."""
        return [each.first_row_cache() for each in self.each]

    def row(self, rows: list, row_cache: list, index: tf.Tensor) -> tuple[list, list]:
        """Takes the finished row; returns the new rows, and what `pixel` reads of them."""
        together = zip(self.each, rows, row_cache, strict=True)
        rows = [each.row(*of_it, index) for each, *of_it in together]
        if not rows:
            return [], []
        flat = [each.for_pixels(of_it) for each, of_it in zip(self.each, rows, strict=True)]
        return rows, [tf.fill((self.num, 1), index), *flat]

    def first_pixels(self, num: int | tf.Tensor) -> list[tf.Tensor]:
        """See `CachedAttention`."""
        return [each.first_pixels(num) for each in self.each]

    def row_cache(self, row: list) -> list[tf.Tensor]:
        """See `CachedAttention`."""
        return [each.row_cache(of_it) for each, of_it in zip(self.each, row, strict=True)]

    def whole_row(self, above: list, image: tf.Tensor) -> tuple[dict, list]:
        """Functions of the features of a row, by the number of the block before; and their caches.

        A function x → y, see `CachedAttention.whole_row`, adds its cache to the list.
        """
        if not self.each:
            return {}, []
        number, *above = above
        caches = []

        def of(each, rows):
            def block(x):
                y, cache = each.whole_row(rows, number, x, image)
                caches.append(cache)
                return y

            return block

        blocks = zip(self.after, self.each, above, strict=True)
        return {i: of(each, rows) for i, each, rows in blocks}, caches

    def pixel(self, above: list, row: list, index: tf.Tensor) -> tuple[dict, Callable]:
        """See `CachedAttention`: functions by the number of the block before, and one of all."""
        if not self.each:
            return {}, lambda values: []
        number, *above = above
        together = zip(self.each, above, row, strict=True)
        pairs = [each.pixel(*of_it, number, index) for each, *of_it in together]
        blocks = {i: block for i, (block, _) in zip(self.after, pairs, strict=True)}
        return blocks, lambda values: [remember(values) for _, remember in pairs]
