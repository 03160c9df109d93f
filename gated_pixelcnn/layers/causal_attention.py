"""Causal self-attention: every position reads from all earlier ones, however far away they are.

Source: the attention block of "PixelSNAIL: An Improved Autoregressive Generative Model" (Chen,
Mishra, Rohaninejad and Abbeel, 2017) and of its authors' code; docs/papers.md has what differs.

    q_i = Q·[x_i, place_i]                      of each colour group by itself, masked type B
    k_j, v_j = K·[x_j, image_j, place_j]        of all colours: position j is finished
    a_i = Σ_{j<i} softmax_{j<i}(q_i·k_j / √d) v_j                of each head; a_0 = 0
    y_i = x_i + W·(tanh ⊙ σ)(U·x_i + A·a_i)                      masked type B

x are the features of the horizontal stack, i and j positions in raster order, place_i is (row,
column) on a scale from −½ to ½. A position attends to EARLIER ones only: features of its own would
show later colours, so its own pixel enters by x_i alone. A position before i is known in all its
colours, so keys and values need no mask; they have the image itself, since no feature of a pixel
sees its last colour.

Initial weights (see `initial_weights`): content gives queries, keys and values E[x²] = 1, the place
0.5; U gives 0.4, A at most about that, for a mean of many values is less; W about 1/L, as that of
each of the L gated blocks.
"""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from gated_pixelcnn.layers import colour_groups, initial_weights
from gated_pixelcnn.layers.dropout import Dropout
from gated_pixelcnn.layers.gated_block import UNITS
from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.ops import concat
from gated_pixelcnn.layers.shifted_convolutions import HorizontalConv2D, PointwiseConv2D
from gated_pixelcnn.spec import Shape

MOST_BYTES = 2**30  # of the weights Σ_j of one image, in float32
_PLACE = 1 / 12  # E[x²] of what is uniform between −½ and ½
_HIDDEN = -1e30  # in the place of the logit of a position that is not seen


def check_memory(image_shape: Shape, heads: int, colours: int) -> None:
    """Raises ValueError for images of so many positions that attention takes too much memory."""
    positions = image_shape[0] * image_shape[1]
    needed = 4 * heads * colours * positions**2
    if needed > MOST_BYTES:
        raise ValueError(
            f"attention between the {positions} positions of {image_shape[0]}×{image_shape[1]} "
            f"images takes {needed / 1e9:.1f} GB for one image ({heads} attention_heads, "
            f"{colours} colour groups); at most {MOST_BYTES / 1e9:.1f} GB are allowed: set "
            "attention_every=0, fewer attention_heads, or use smaller images."
        )


def attend(
    queries: tf.Tensor, parts: Sequence[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]
) -> tf.Tensor:
    """The equation of a_i for queries that see some of the positions.

    Args:
      queries: [..., Q, d].
      parts: the positions in any number of parts: keys and values [..., K, d] each, and which
        query sees which position, booleans that broadcast to [..., Q, K].

    Returns:
      The weighted values [..., Q, d]; 0 for a query that sees nothing.
    """
    queries *= queries.shape[-1] ** -0.5
    logits = [tf.matmul(queries, keys, transpose_b=True) for keys, _, _ in parts]
    if queries.dtype.size < 4:  # half precision has no such logit as that of what is hidden
        logits = [tf.cast(part, tf.float32) for part in logits]
    hidden = tf.constant(_HIDDEN, logits[0].dtype)
    logits = [tf.where(seen, part, hidden) for part, (*_, seen) in zip(logits, parts, strict=True)]
    weights = tf.cast(tf.nn.softmax(concat(logits)), queries.dtype)
    weights = tf.split(weights, [keys.shape[-2] for keys, _, _ in parts], axis=-1)
    found = [tf.matmul(w, values) for w, (_, values, _) in zip(weights, parts, strict=True)]
    some = [tf.reduce_any(seen, axis=-1, keepdims=True) for *_, seen in parts]
    some = some[0] if len(some) == 1 else tf.logical_or(*some)
    found = tf.add_n(found)
    return tf.where(some, found, tf.zeros((), found.dtype))


class CausalAttention(Layer):
    """The attention block with its gate and its residual connection: [N, H, W, p] → the same."""

    def __init__(
        self,
        features: int,
        heads: int = 4,
        head_features: int = 16,
        colours: int = 1,
        layers: int = 1,
        gate: str = "tanh_sigmoid",
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        """Makes the layer.

        Args:
          features: p, of the input and the output; a multiple of `colours`.
          heads: of every colour group; keys and values are shared by the groups.
          head_features: d, of a head's queries, keys and values.
          colours: number of colour groups.
          layers: L, the number of gated blocks of the model.
          gate: see `GatedBlock`.
          dropout: see `GatedBlock`.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: features not divisible by colours, or no heads or features of them.
        """
        super().__init__(**kwargs)
        colour_groups.check_divisible("features", features, colours)
        for name, value in (("heads", heads), ("features", head_features)):
            if value < 1:
                raise ValueError(f"attention_{name} must be at least 1, got {value}.")
        self.features, self.heads, self.head_features = features, heads, head_features
        self.colours, self.layers = colours, layers
        self.gate, self.unit, self.rate = gate, UNITS[gate], dropout
        own = {"dtype": self.dtype_policy}
        self.dropout = Dropout(dropout, name="dropout", **own) if dropout else None
        width, part = heads * head_features, initial_weights.PART
        self.query = PointwiseConv2D(colours * width, colours, name="query", **own)
        # A bias of the keys would change no weight, one of the values little.
        self.key_value = PointwiseConv2D(2 * width, use_bias=False, name="key_value", **own)
        self.place = PointwiseConv2D(
            (colours + 2) * width,
            use_bias=False,
            scale=initial_weights.CONDITION / _PLACE,
            name="place",
            **own,
        )
        # 1×1, but with the groups of a gate.
        pre = {"mask_type": "B", "colours": colours, "parts": self.unit.parts, "scale": part}
        size = self.unit.parts * features
        self.own_conv = HorizontalConv2D(size, 1, name="own_conv", **pre, **own)
        self.attended_conv = HorizontalConv2D(
            size, 1, use_bias=False, name="attended_conv", **pre, **own
        )
        scale = 1 / (self.unit.moment(2 * part) * layers)
        self.output_conv = PointwiseConv2D(
            features, colours, scale=scale, name="output_conv", **own
        )

    def build(self, x_shape: Shape, image_shape: Shape) -> None:
        """Makes the weights."""
        self.query.build(x_shape)
        self.key_value.build((*x_shape[:-1], x_shape[-1] + image_shape[-1]))
        self.place.build((*x_shape[:-1], 2))
        self.own_conv.build(x_shape)
        self.attended_conv.build((*x_shape[:-1], self.colours * self.heads * self.head_features))
        self.output_conv.build(x_shape)
        self.built = True

    def call(self, x: tf.Tensor, image: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The block over whole images.

        Args:
          x: features [N, H, W, p].
          image: what the first block sees [N, H, W, C].
          training: whether dropout is on.

        Returns:
          [N, H, W, p].
        """
        height, width = x.shape[1:3]
        rows, columns = tf.meshgrid(tf.range(height), tf.range(width), indexing="ij")
        place = self.place.slide(self.coordinates(rows, columns, height, width)[tf.newaxis])
        return self.across(x, image, place, training=training)[0]

    def across(
        self,
        x: tf.Tensor,
        image: tf.Tensor,
        place: tf.Tensor,
        finished: Sequence[tuple[tf.Tensor, tf.Tensor, tf.Tensor]] = (),
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The block over rows at once.

        Args:
          x: features [N, h, W, p].
          image: what the first block sees [N, h, W, C].
          place: output of the layer `place` [1 or N, h, W, …].
          finished: positions before these rows, see the parts of `attend`.
          training: whether dropout is on.

        Returns:
          [N, h, W, p]; and keys and values [2·heads, N, h·W, d].
        """
        height, width = x.shape[1:3]
        for_query, for_key_value = self.split_place(place)
        queries = self.of_heads(self.query(x) + for_query, self.colours)
        key_value = self.key_value(tf.concat([x, image], axis=-1)) + for_key_value
        key_value = self.of_heads(key_value, 1)
        position = tf.range(height * width)
        earlier = position < tf.repeat(position, self.colours)[:, tf.newaxis]  # j < i
        attended = attend(queries, [*finished, (*tf.split(key_value, 2), earlier)])
        shape = (self.heads, -1, height, width, self.colours, self.head_features)
        attended = tf.transpose(tf.reshape(attended, shape), [1, 2, 3, 4, 0, 5])
        attended = tf.reshape(attended, (-1, height, width, self.query.filters))
        pre = self.own_conv(x) + self.attended_conv(attended)
        gated = self.unit.function(pre)
        if self.dropout is not None:
            gated = self.dropout(gated, training=training)
        return x + self.output_conv(gated), key_value

    def coordinates(
        self, rows: tf.Tensor, columns: tf.Tensor, height: int, width: int
    ) -> tf.Tensor:
        """place_i of the equation: integers [...] to (row, column) in −½…½ [..., 2]."""
        scaled = [
            tf.cast(index, self.compute_dtype) / size - 0.5
            for index, size in ((rows, height), (columns, width))
        ]
        return tf.stack(scaled, axis=-1)

    def split_place(self, place: tf.Tensor) -> list[tf.Tensor]:
        """What is added to queries and to keys and values, of `place`'s output."""
        return tf.split(place, [self.query.filters, self.key_value.filters], axis=-1)

    def of_heads(self, x: tf.Tensor, colours: int) -> tf.Tensor:
        """Heads first: [N, ..., colours·heads·d] → [heads, N, positions·colours, d].

        Of keys and values, which stand beside each other, the heads of both: 2·heads.
        """
        groups = x.shape[-1] // (colours * self.head_features)
        positions = math.prod(x.shape[1:-1])
        x = tf.reshape(x, (-1, positions * colours, groups, self.head_features))
        return tf.transpose(x, [2, 0, 1, 3])
