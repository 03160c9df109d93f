"""PixelCNN++ one row and one pixel at a time, for sampling."""

import tensorflow as tf

from gated_pixelcnn.layers.stream import walk
from gated_pixelcnn.layers.weight_norm import gather, gathered


class PixelCNNPPDecoder:
    """PixelCNN++ as a `sampling.CachedDecoder`.

    A scale of half the size has a row for every second row and a pixel for every second pixel of
    the one above it, from row and pixel 0. Per row u advances; with the cache of ul of the finished
    row it gives what ul has before the first pixel is drawn ("links"). Per pixel only the own row
    of ul is left. States are lists by scale of dictionaries; a scale that is not due keeps them.
    """

    def __init__(self, model, num, condition):
        """Projects the condition and gathers weights, once for all pixels.

        Args:
          model: a PixelCNNPP.
          num: number of images N.
          condition: output of `condition_map` or None.
        """
        self.model, self.num = model, num
        self.u, self.ul = model.above, model.above_left
        self.gathered = gather(model.normalised_layers())
        conditions = model.conditions(condition)
        self.for_u, self.for_ul = (
            [
                [block.project(condition) for block in scale.blocks]
                for scale, condition in zip(stream, conditions, strict=True)
            ]
            for stream in (self.u, self.ul)
        )
        width = model.image_shape[1]
        self.widths = [-(-width // 2**number) for number in range(model.scales)]
        self.steps = [[block.step() for block in scale.blocks] for scale in self.ul]
        self.shrink = [scale.shrink.step() for scale in self.ul[:-1]]
        self.enlarge = [scale.enlarge.step() for scale in self.ul[:-1]]
        self.first_left = model.first_left.step()
        self.head = model.head.step()

    def zeros(self, *shape):
        """Zeros of the type of computation."""
        return tf.zeros(shape, self.model.compute_dtype)

    # Rows

    def first_rows(self):
        """Before row 0: all that is above are zeros."""
        num, features = self.num, self.model.features
        u, ul, links = [], [], []
        for scale, width in zip(self.u, self.widths, strict=True):
            blocks = len(scale.blocks)
            u.append({"blocks": [block.first_rows(num, width) for block in scale.blocks]})
            ul.append({"blocks": self.zeros(blocks, num, 1, width, 4 * features)})
            links.append({"blocks": self.zeros(width, blocks, num, 3 * features)})
            if not scale.is_last:
                last = {
                    "shrink": self.zeros(num, 1, width, features),
                    "enlarged": self.zeros(num, 2, width, features),
                }
                u[-1] |= last
                ul[-1] |= last
                links[-1] |= {
                    "shrink": self.zeros(-(-width // 2), num, features),
                    "enlarged": self.zeros(width, num, features),
                    "due": self.zeros(1, num, 1),
                }
        image = self.zeros(num, 1, self.model.image_shape[1], self.model.input_features + 1)
        return {"image": image, "u": u, "ul": ul, "links": links}

    def first_row_cache(self):
        """See `row_cache`."""
        return [
            {name: self.zeros(w, *shape) for name, (w, *shape) in self._kept_of(number, self.num)}
            for number in range(self.model.scales)
        ]

    def _kept_of(self, number, num):
        """Names and shapes of what a scale of ul caches of the pixels of a row."""
        features, blocks = self.model.features, len(self.ul[number].blocks)
        yield "blocks", (self.widths[number], blocks, num, 4 * features)
        if not self.ul[number].is_last:
            yield "shrink", (self.widths[number], num, features)
            yield "lower", (self.widths[number + 1], num, features)

    def row(self, state, finished, row_cache, index):
        """See `sampling.CachedDecoder`."""
        with gathered(self.gathered):
            return self._row(state, finished, row_cache, index)

    def _row(self, state, finished, row_cache, index):
        model, before = self.model, state["image"]
        finished = model.with_ones(finished[:, tf.newaxis])
        finished *= tf.cast(index > 0, finished.dtype)  # above row 0 there are no ones either
        ul = [
            tf.cond(
                (index > 0) & ((index - 1) % 2**number == 0),
                lambda number=number: self._rows_above(number, row_cache[number]),
                lambda number=number: state["ul"][number],
            )
            for number in range(model.scales)
        ]
        x = model.first_up.row([before, finished])
        u, links = self._run_row(x, state["u"], ul, state["links"], index)
        first = model.first_above.row([finished]) + model.first_left.from_above(finished)
        new = {"image": finished, "u": u, "ul": ul, "links": links}
        return new, {"first": tf.transpose(first[:, 0], [1, 0, 2]), "links": links}

    def _rows_above(self, number, row_cache):
        """The finished row of a scale of ul, from the cache of its pixels."""
        above = {"blocks": tf.transpose(row_cache["blocks"], [1, 2, 0, 3])[:, :, tf.newaxis]}
        if not self.ul[number].is_last:
            shrink, lower = (
                tf.transpose(row_cache[name], [1, 0, 2])[:, tf.newaxis]
                for name in ("shrink", "lower")
            )
            enlarged = self.ul[number].enlarge.slide(lower)[:, :, : self.widths[number]]
            above |= {"shrink": shrink, "enlarged": enlarged}
        return above

    def _run_row(self, x, states, above, links, index):
        """The stream u over one row, and the links of ul.

        Args:
          x: the input of u [N, 1, W, F].
          states: of u, of the rows above.
          above: of ul, of the rows above.
          links: of an earlier row; scales that are not due keep them.
          index: of the row.

        Returns:
          States of u for the row below; and by scale the links of ul: of its blocks
          [W, blocks, N, 3F]; of the way to the next scale [its W, N, F]; of the way back, where the
          next scale is not due [W, N, F]; and whether it is due [1, N, 1].
        """
        states, links, fresh = list(states), list(links), [[] for _ in states]

        def run_block(number, i, x, mirrored):
            at = index // 2**number
            blocks = list(states[number]["blocks"])
            projected = self._at(self.for_u[number][i], at)
            y, blocks[i] = self.u[number].blocks[i].row(x, mirrored, blocks[i], projected)
            states[number] = {**states[number], "blocks": blocks}
            of_ul = tf.split(above[number]["blocks"][i], 2, axis=-1)
            projected = self._at(self.for_ul[number][i], at)
            fresh[number].append(self.ul[number].blocks[i].link(y, of_ul, projected)[:, 0])
            return y

        def run_deeper(number, x, lower):
            scale, state, at = self.u[number], states[number], index // 2**number
            deeper = slice(number + 1, None)
            unchanged = states[deeper], links[deeper]

            def due():
                y = scale.enlarge.slide(lower(scale.shrink.row([state["shrink"], x])))
                finish(number + 1)
                return y[:, :, : x.shape[2]], states[deeper], links[deeper]

            enlarged, states[deeper], links[deeper] = tf.cond(
                at % 2 == 0, due, lambda: (state["enlarged"], *unchanged)
            )
            states[number] = {**state, "shrink": x, "enlarged": enlarged}
            return enlarged[:, at % 2][:, tf.newaxis]

        def finish(number):
            links[number] = {"blocks": tf.transpose(tf.stack(fresh[number]), [2, 0, 1, 3])}
            if self.ul[number].is_last:
                return
            at, above_here = index // 2**number, above[number]
            shrink = self.ul[number].shrink.from_above(above_here["shrink"])
            due = tf.cast(at % 2 == 0, self.model.compute_dtype)
            links[number] |= {
                "shrink": tf.transpose(shrink[:, 0], [1, 0, 2]),
                "enlarged": tf.transpose(above_here["enlarged"][:, at % 2], [1, 0, 2]),
                "due": tf.fill([1, self.num, 1], due),
            }

        walk(self.u, x, run_block, run_deeper)
        finish(0)
        return states, links

    @staticmethod
    def _at(projected, index):
        """The row `index` of a projected condition, or what all rows share."""
        if not tf.is_tensor(projected) or projected.shape[1] == 1:
            return projected
        return projected[:, index][:, tf.newaxis]

    def by_pixels(self, row):
        """What `row` gave, as `pixel` reads it: the same."""
        return row

    def whole_row(self, row, x):
        """See `sampling.CachedDecoder`."""
        with gathered(self.gathered):
            return self._whole_row(row, self.model.with_ones(x))

    def _whole_row(self, row, x):
        links, fresh = row["links"], [[] for _ in self.ul]
        caches = self.first_row_cache()  # of scales that are not due

        def run_block(number, i, x, mirrored):
            link = _of_row(links[number]["blocks"][:, i])
            (other,) = mirrored or (None,)
            y, seen = self.ul[number].blocks[i].across(x, other, link)
            fresh[number].append(tf.concat(seen, axis=-1))
            return y

        def run_deeper(number, x, lower):
            scale, link, deeper = self.ul[number], links[number], slice(number + 1, None)
            unchanged = caches[deeper]

            def due():
                y = lower(scale.shrink.own_row(x) + _of_row(link["shrink"]))
                finish(number + 1)
                return scale.enlarge.slide(y)[:, :1, : x.shape[2]], y, caches[deeper]

            def not_due():
                y = _of_row(self.first_row_cache()[number]["lower"])
                return _of_row(link["enlarged"]), y, unchanged

            is_due = tf.reduce_any(link["due"] > 0)
            enlarged, y, caches[deeper] = tf.cond(is_due, due, not_due)
            kept = {"shrink": _by_pixel(x), "lower": _by_pixel(y)}
            caches[number] = {**caches[number], **kept}
            return enlarged

        def finish(number):
            blocks = tf.concat(fresh[number], axis=1)  # [N, blocks, W, 4F]
            caches[number] = {**caches[number], "blocks": tf.transpose(blocks, [2, 1, 0, 3])}

        x = self.model.first_left.own_row(x) + _of_row(row["first"])
        x = walk(self.ul, x, run_block, run_deeper)
        finish(0)
        return self.model.parameters_of(self.model.head.slide, x), caches

    # Pixels

    def first_pixels(self, num):
        """Before pixel 0: zeros for all that is at the left, and arrays for the cache of a row."""
        states, arrays = [], []
        for number in range(self.model.scales):
            states.append({name: self.zeros(*s) for name, (_, *s) in self._kept_of(number, num)})
            arrays.append(
                {
                    name: tf.TensorArray(self.model.compute_dtype, width, element_shape=shape)
                    for name, (width, *shape) in self._kept_of(number, None)
                }
            )
        return {
            "pixel": self.zeros(num, self.model.input_features + 1),
            "ul": states,
            "arrays": arrays,
        }

    def row_cache(self, state):
        """Cache of a row's pixels that ul needs for the next row, by scale.

        Of the blocks [W, blocks, N, 4F]; what went to the next scale [W, N, F], and what came from
        it [its W, N, F].
        """
        return [{name: array.stack() for name, array in a.items()} for a in state["arrays"]]

    def pixel(self, state, row, index, draw):
        """See `sampling.CachedDecoder`."""
        states, links, fresh = list(state["ul"]), row["links"], [[] for _ in self.ul]
        here = [  # of the pixel, at every scale
            {
                "left": tf.unstack(old["blocks"]),
                "links": tf.unstack(link["blocks"][index // 2**number]),
            }
            for number, (old, link) in enumerate(zip(states, links, strict=True))
        ]

        def run_block(number, i, x, mirrored):
            left = tf.split(here[number]["left"][i], 2, axis=-1)
            (other,) = mirrored or (None,)
            y, seen = self.steps[number][i](x, other, here[number]["links"][i], left)
            fresh[number].append(tf.concat(seen, axis=-1))
            return y

        def run_deeper(number, x, lower):
            old, at, link = states[number], index // 2**number, links[number]
            due, deeper = tf.reduce_any(link["due"] > 0), slice(number + 1, None)
            unchanged = states[deeper]

            def run():
                x_left = tf.concat([old["shrink"], x], axis=-1)
                y = lower(self.shrink[number](x_left) + link["shrink"][at // 2])
                finish(number + 1)
                return y, states[deeper]

            y, states[deeper] = tf.cond(due & (at % 2 == 0), run, lambda: (old["lower"], unchanged))
            states[number] = {**old, "shrink": x, "lower": y}
            return tf.where(due, self.enlarge[number](y)[:, at % 2], link["enlarged"][at])

        def finish(number):
            states[number] = {**states[number], "blocks": tf.stack(fresh[number])}

        x = self.first_left(state["pixel"]) + row["first"][index]
        x = walk(self.ul, x, run_block, run_deeper)
        finish(0)
        drawn = draw(0, self.model.parameters_of(self.head, x))
        arrays = []
        for number, (array, new) in enumerate(zip(state["arrays"], states, strict=True)):
            at = {"blocks": index // 2**number, "shrink": index // 2**number}
            at["lower"] = index // 2 ** (number + 1)
            arrays.append({name: array[name].write(at[name], new[name]) for name in array})
        return {"pixel": self.model.with_ones(drawn), "ul": states, "arrays": arrays}


def _of_row(pixels):
    """[W, N, F] → [N, 1, W, F]."""
    return tf.transpose(pixels, [1, 0, 2])[:, tf.newaxis]


def _by_pixel(row):
    """[N, 1, W, F] → [W, N, F]."""
    return tf.transpose(row[:, 0], [1, 0, 2])
