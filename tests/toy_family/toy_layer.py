"""The layer of the toy family: a masked block with tanh in the place of its last ReLU."""

import tensorflow as tf

from gated_pixelcnn.layers import MaskedBlock
from gated_pixelcnn.layers.ops import concat, relu


class ToyLayer(MaskedBlock):
    """ReLU → 1×1 → ReLU → n×n mask B → tanh → 1×1, and the input."""

    def call(self, x, condition=None):
        convolved = self.conv(relu(self.reduce(relu(x))))
        return self.finish(tf.tanh(convolved + self.project(condition)), x, self.expand.slide)

    def step(self, colour):
        reduce, row = self.reduce.step(colour), self.conv.row.step(colour)
        expand = self.expand.step(colour)

        def block(xs, seen, pixels_before, link, before):
            z = relu(reduce(relu(concat(xs))))
            window = [x for (x,) in (*pixels_before, *seen)]
            active = tf.tanh(row(concat([*window, z])) + link)
            return self.finish(active, xs[-1], expand, before), (z,), (z,), active

        return block
