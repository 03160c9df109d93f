"""PixelCNN++ one row and one pixel at a time, for sampling."""

import tensorflow as tf

from gated_pixelcnn.layers.stream import walk


class PixelCNNPPView:
    """PixelCNN++ as a `sampling.IncrementalView`.

    A scale of half the size has a row for every second row and a pixel for every second pixel of
    the one above it, from row and pixel 0. Per row runs: ul over the finished row, for what the
    next one sees of it; u over the row to come; and what ul then has before its first pixel is
    drawn ("links"). Per pixel only the own row of ul is left.

    States are lists by scale of dictionaries. A scale that is not due keeps them.
    """

    def __init__(self, model, num, condition):
        """Projects the condition and gathers weights, once for all pixels.

        Args:
          model: a PixelCNNPP.
          num: number of images N.
          condition: output of `condition_map` or None.
        """
        self.model, self.num = model, num
        conditions = model.conditions(condition)
        self.projected = {
            name: [
                [block.project(condition) for block in scale.blocks]
                for scale, condition in zip(stream, conditions, strict=True)
            ]
            for name, stream in (("u", model.above), ("ul", model.above_left))
        }
        height, width = model.image_shape[:2]
        self.sizes = [(height, width)]
        for _ in range(1, model.scales):
            height, width = -(-height // 2), -(-width // 2)
            self.sizes.append((height, width))
        stream = model.above_left
        self.steps = [[block.step() for block in scale.blocks] for scale in stream]
        self.shrink = [scale.shrink.step() for scale in stream[:-1]]
        self.enlarge = [scale.enlarge.step() for scale in stream[:-1]]
        self.first_left = model.first_left.step()
        self.head = model.head.step()

    def zeros(self, *shape):
        """Zeros of the type of computation."""
        return tf.zeros(shape, self.model.compute_dtype)

    # Rows

    def first_rows(self):
        """Before row 0: all that is above are zeros."""
        width, channels = self.model.image_shape[1:]
        u, ul = (self._rows_before(stream) for stream in (self.model.above, self.model.above_left))
        return {
            "image": self.zeros(self.num, 1, width, channels + 1),
            "u": u,
            "ul": ul,
            "outputs": [
                [self.zeros(self.num, 1, w, self.model.features)] * len(scale.blocks)
                for scale, (_, w) in zip(self.model.above, self.sizes, strict=True)
            ],
            "links": [self._no_links(number) for number in range(self.model.scales)],
        }

    def _rows_before(self, stream):
        """What a stream keeps of the row above, at every scale."""
        states = []
        for scale, (_, width) in zip(stream, self.sizes, strict=True):
            state = {"blocks": [block.first_rows(self.num, width) for block in scale.blocks]}
            if not scale.is_last:
                state["shrink"] = self.zeros(self.num, 1, width, self.model.features)
                state["enlarged"] = self.zeros(self.num, 2, width, self.model.features)
            states.append(state)
        return states

    def _no_links(self, number):
        """Links of the shapes that they have, see `_links`."""
        width, features = self.sizes[number][1], self.model.features
        blocks = len(self.model.above_left[number].blocks)
        links = {"blocks": self.zeros(width, blocks, self.num, 3 * features)}
        if number + 1 < self.model.scales:
            links["shrink"] = self.zeros(self.sizes[number + 1][1], self.num, features)
            links["enlarged"] = self.zeros(width, self.num, features)
            links["due"] = self.zeros(1, self.num, 1)
        return links

    def first_kept(self):
        """Nothing yet."""
        return ()

    def kept(self, state):
        """Nothing yet."""
        return ()

    def row(self, state, finished, kept, index):
        """See `sampling.IncrementalView`."""
        model = self.model
        before = state["image"]
        finished = model.with_ones(finished[:, tf.newaxis])
        finished *= tf.cast(index > 0, finished.dtype)  # above row 0 there are no ones either

        def run_finished():
            x = model.first_above.row([before]) + model.first_left.row([before, finished])
            states, _ = self._run_row("ul", x, state["outputs"], state["ul"], index - 1)
            return states

        ul = tf.cond(index > 0, run_finished, lambda: state["ul"])
        x = model.first_up.row([before, finished])
        u, outputs = self._run_row("u", x, state["outputs"], state["u"], index)
        links = self._links(outputs, ul, index, state["links"])
        first = model.first_above.row([finished]) + model.first_left.from_above(finished)
        new = {"image": finished, "u": u, "ul": ul, "outputs": outputs, "links": links}
        return new, {"first": tf.transpose(first[:, 0], [1, 0, 2]), "links": links}

    def _run_row(self, name, x, of_above, states, index):
        """A stream over one row.

        Args:
          name: "u" or "ul".
          x: its input [N, 1, W, F].
          of_above: what the blocks of u gave for this row, for ul; those of an earlier row, for u.
          states: of the rows above.
          index: of the row.

        Returns:
          States for the row below, and what the blocks gave.
        """
        stream = self.model.above if name == "u" else self.model.above_left
        states, outputs = list(states), list(of_above)

        def run_block(number, i, x, mirrored):
            others = list(mirrored) if name == "u" else [of_above[number][i], *mirrored]
            projected = self._at(self.projected[name][number][i], index // 2**number)
            blocks = list(states[number]["blocks"])
            y, blocks[i] = stream[number].blocks[i].row(x, others, blocks[i], projected)
            states[number] = {**states[number], "blocks": blocks}
            outputs[number] = [*outputs[number][:i], y, *outputs[number][i + 1 :]]
            return y

        def run_deeper(number, x, lower):
            scale, state, at = stream[number], states[number], index // 2**number
            kept = states[number + 1 :], outputs[number + 1 :]

            def due():
                y = scale.enlarge.slide(lower(scale.shrink.row([state["shrink"], x])))
                return y[:, :, : x.shape[2]], states[number + 1 :], outputs[number + 1 :]

            enlarged, states[number + 1 :], outputs[number + 1 :] = tf.cond(
                at % 2 == 0, due, lambda: (state["enlarged"], *kept)
            )
            states[number] = {**state, "shrink": x, "enlarged": enlarged}
            return enlarged[:, at % 2][:, tf.newaxis]

        walk(stream, x, run_block, run_deeper)
        return states, outputs

    def _links(self, of_above, states, index, before, number=0):
        """What the row `index` of ul has before its pixels are drawn, at every scale.

        Args:
          of_above: what the blocks of u gave for this row.
          states: of ul, of the rows above.
          index: of the row.
          before: links of the row above, which scales keep that are not due.
          number: of the first scale that is meant.

        Returns:
          A list by scale, from `number` on: of the blocks [W, blocks, N, 3F]; of the way to the
          next scale [its W, N, F]; of the way back, where the next scale is not due [W, N, F]; and
          whether it is [1, N, 1].
        """
        scale, state, at = self.model.above_left[number], states[number], index // 2**number
        blocks = [
            block.link(other, above, self._at(projected, at))[:, 0]
            for block, other, above, projected in zip(
                scale.blocks,
                of_above[number],
                state["blocks"],
                self.projected["ul"][number],
                strict=True,
            )
        ]
        links = {"blocks": tf.transpose(tf.stack(blocks), [2, 0, 1, 3])}
        if scale.is_last:
            return [links]
        links["shrink"] = tf.transpose(scale.shrink.from_above(state["shrink"])[:, 0], [1, 0, 2])
        links["enlarged"] = tf.transpose(state["enlarged"][:, at % 2], [1, 0, 2])
        due = at % 2 == 0
        links["due"] = tf.fill([1, self.num, 1], tf.cast(due, self.model.compute_dtype))
        deeper = tf.cond(
            due,
            lambda: self._links(of_above, states, index, before, number + 1),
            lambda: before[number + 1 :],
        )
        return [links, *deeper]

    @staticmethod
    def _at(projected, index):
        """The row `index` of a projected condition, or what all rows share."""
        if not tf.is_tensor(projected) or projected.shape[1] == 1:
            return projected
        return projected[:, index][:, tf.newaxis]

    # Pixels

    def first_pixels(self, num):
        """Before pixel 0: all that is at the left are zeros."""
        states = []
        for scale in self.model.above_left:
            state = {"blocks": [block.first_pixel(num) for block in scale.blocks]}
            if not scale.is_last:
                state["shrink"] = self.zeros(num, self.model.features)
                state["enlarged"] = self.zeros(num, 2, self.model.features)
            states.append(state)
        return {"pixel": self.zeros(num, self.model.image_shape[-1] + 1), "ul": states}

    def pixel(self, state, row, index, draw):
        """See `sampling.IncrementalView`."""
        states, links = list(state["ul"]), row["links"]

        def run_block(number, i, x, mirrored):
            blocks = list(states[number]["blocks"])
            link = links[number]["blocks"][index // 2**number][i]
            y, blocks[i] = self.steps[number][i](x, *(mirrored or (None,)), link, blocks[i])
            states[number] = {**states[number], "blocks": blocks}
            return y

        def run_deeper(number, x, lower):
            state, at, link = states[number], index // 2**number, links[number]
            due, kept = tf.reduce_any(link["due"] > 0), states[number + 1 :]

            def run():
                x_left = tf.concat([state["shrink"], x], axis=-1)
                y = lower(self.shrink[number](x_left) + link["shrink"][at // 2])
                return self.enlarge[number](y), states[number + 1 :]

            enlarged, states[number + 1 :] = tf.cond(
                due & (at % 2 == 0), run, lambda: (state["enlarged"], kept)
            )
            states[number] = {**state, "shrink": x, "enlarged": enlarged}
            return tf.where(due, enlarged[:, at % 2], link["enlarged"][at])

        x = self.first_left(state["pixel"]) + row["first"][index]
        x = walk(self.model.above_left, x, run_block, run_deeper)
        drawn = draw(0, self.head(tf.nn.elu(x)))
        return {"pixel": self.model.with_ones(drawn), "ul": states}
