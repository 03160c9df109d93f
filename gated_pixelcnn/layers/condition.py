"""Conditions as maps that every block projects: equations 4 and 5 of 2016b.

A label becomes a one-hot vector (never a number), so its projection is a class bias per layer. A
vector h is shared by all positions [N, 1, 1, D]. A spatial map s has values at every position
[N, H, W, D]; a label or a vector becomes one by s = m(h), a deconvolutional network.
"""

import math
from typing import Any

import keras
import tensorflow as tf

from gated_pixelcnn.graph_checks import below
from gated_pixelcnn.layers import initial_weights
from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.ops import relu
from gated_pixelcnn.spec import Shape

KINDS = (None, "label", "vector", "spatial")


class Deconvolution(Layer):
    """m(h) of equation 5: [N, 1, 1, D] → [N, H, W, features], doubling the size at every layer.

    A dense layer makes the smallest map (at most 4×4), transposed 4×4 convolutions of stride 2 with
    ReLU between them double it until it covers the image, and the surplus is cropped. Every layer
    starts with outputs of E[x²] = 1 (see `initial_weights`).
    """

    def __init__(
        self, features: int, height: int, width: int, one_hot: bool = False, **kwargs: Any
    ) -> None:
        """Makes the layer.

        Args:
          features: maps of the result and of every layer before it.
          height: H of the image.
          width: W of the image.
          one_hot: whether h has one number that is not 0, and not D.
          **kwargs: Keras' own (name, dtype).
        """
        super().__init__(**kwargs)
        self.features, self.height, self.width = features, height, width
        self.one_hot = one_hot
        doublings = max(0, math.ceil(math.log2(max(height, width) / 4)))
        self.start = (math.ceil(height / 2**doublings), math.ceil(width / 2**doublings))
        self.dense = keras.layers.Dense(
            self.start[0] * self.start[1] * features, name="dense", dtype=self.dtype_policy
        )
        # Keras counts 4×4 weights of every input, of which an output has 2×2; ReLU leaves a half.
        initial = keras.initializers.VarianceScaling(
            4 / initial_weights.relu(), distribution="untruncated_normal"
        )
        self.deconvolutions = [
            keras.layers.Conv2DTranspose(
                features,
                4,
                strides=2,
                padding="same",
                data_format="channels_last",
                kernel_initializer=initial.clone(),  # its own random numbers
                name=f"doubling_{i}",
                dtype=self.dtype_policy,
            )
            for i in range(doublings)
        ]

    def build(self, input_shape: Shape) -> None:
        """Makes the weights."""
        self.dense.kernel_initializer = initial_weights.FanIn(
            input_shape[-1] if self.one_hot else 1.0
        )
        self.dense.build(input_shape)
        for layer in self.deconvolutions:
            layer.build((input_shape[0], None, None, self.features))
        super().build(input_shape)

    def call(self, h: tf.Tensor) -> tf.Tensor:
        """Grows an image-sized map out of a vector."""
        s = tf.reshape(self.dense(h), [-1, *self.start, self.features])
        for layer in self.deconvolutions:
            s = layer(relu(s))
        return s[:, : self.height, : self.width]


class Condition(Layer):
    """Turns a user's condition into the map [N, 1 or H, 1 or W, D] that blocks project."""

    def __init__(
        self,
        kind: str,
        size: int,
        height: int,
        width: int,
        spatial_features: int = 0,
        **kwargs: Any,
    ) -> None:
        """Makes the layer.

        Args:
          kind: "label" (integers [N], or weights of the classes, floats [N, size]), "vector"
            (floats [N, size]) or "spatial" (floats [N, H, W, size]).
          size: number of classes, length of the vector, or maps of the spatial condition.
          height: H of the image.
          width: W of the image.
          spatial_features: maps of m(h); 0 leaves a label or vector the same at all positions.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an unknown kind, no size, m(h) on a spatial condition or of a negative size.
        """
        super().__init__(**kwargs)
        if kind not in KINDS[1:]:
            raise ValueError(f"condition must be one of {KINDS}, got {kind!r}.")
        if size < 1:
            wanted = {"label": "classes", "vector": "vector length", "spatial": "maps"}[kind]
            raise ValueError(
                f"condition_size must be the number of {wanted} (at least 1) of the {kind} "
                f"condition, got {size}."
            )
        if spatial_features < 0:
            raise ValueError(f"spatial_features must be 0 or more, got {spatial_features}.")
        if spatial_features and kind == "spatial":
            raise ValueError(
                "spatial_features makes a map out of a label or a vector; a spatial condition is "
                "one already: set it to 0."
            )
        self.kind, self.size, self.height, self.width = kind, size, height, width
        self.spatial_features = spatial_features
        self.deconvolution = None
        if spatial_features:
            self.deconvolution = Deconvolution(
                spatial_features,
                height,
                width,
                one_hot=kind == "label",
                name="deconvolution",
                dtype=self.dtype_policy,
            )

    @property
    def output_features(self) -> int:
        """D of the result."""
        return self.spatial_features or self.size

    def compute_output_shape(self, input_shape: Any = None) -> Shape:
        """Returns the shape of the maps."""
        maps = self.deconvolution is not None or self.kind == "spatial"
        return (None, *((self.height, self.width) if maps else (1, 1)), self.output_features)

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights of m(h), if there is one."""
        if self.deconvolution is not None:
            self.deconvolution.build((None, 1, 1, self.size))
        self.built = True

    def call(self, condition: tf.Tensor) -> tf.Tensor:
        """[N], [N, size] or [N, H, W, size] → [N, 1 or H, 1 or W, D]."""
        if self.kind == "label" and len(condition.shape) == 1:
            # Out of range, a one-hot vector would be all zeros: no class at all.
            condition = below(self.size, f"labels must be 0…{self.size - 1}", condition)
            condition = tf.cast(condition, tf.int32)
            condition = tf.one_hot(condition, self.size)
        condition = tf.cast(condition, self.compute_dtype)
        if self.kind != "spatial":
            condition = condition[:, tf.newaxis, tf.newaxis, :]
        return condition if self.deconvolution is None else self.deconvolution(condition)
