"""An embedding: a network that brings images of one identity together and keeps others apart.

Source: "FaceNet: A Unified Embedding for Face Recognition and Clustering" (Schroff et al., 2015):
the triplet loss with margin 0.2 over all pairs of a batch, semi-hard negatives, unit length. The
portraits of "Conditional Image Generation with PixelCNN Decoders" (van den Oord et al., 2016b,
section 3.3) are conditioned on such an embedding. Here its layers are those of `Encoder`.
"""

from typing import Any

import tensorflow as tf

from gated_pixelcnn.layers import Encoder
from gated_pixelcnn.models.keras_training import unpacked
from gated_pixelcnn.models.registry import register
from gated_pixelcnn.models.trainable import Trainable
from gated_pixelcnn.spec import Array, ConditionSpec, ImageSpec


@register("embedding")
class Embedding(Trainable):
    """Images [N, H, W, C] → unit vectors [N, code_size]."""

    loss_name, loss_unit = "triplet_loss", "triplet loss"
    takes_labels = True
    encoder: Encoder

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 256,
        code_size: int = 128,
        encoder_features: int = 100,
        margin: float = 0.2,
        images_per_class: int = 5,
        condition_size: int = 0,
        **kwargs: Any,
    ) -> None:
        """Makes the model.

        Args:
          image_shape: (H, W, C) of the images.
          levels: number of values per colour, 2…65,536.
          code_size: numbers of an embedding.
          encoder_features: see `Encoder`.
          margin: α of the loss, of squared distances between unit vectors.
          images_per_class: K: a batch has K images of each of its identities.
          condition_size: must be 0: embeddings have no condition.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(**kwargs)
        if condition_size:
            raise ValueError("an embedding has no condition.")
        if margin <= 0:
            raise ValueError(f"margin must be above 0, got {margin}.")
        if images_per_class < 2:
            raise ValueError(
                f"images_per_class must be at least 2, or there are no pairs; got "
                f"{images_per_class}."
            )
        self.image_spec = ImageSpec(image_shape, levels)
        self.condition_spec = ConditionSpec(0, self.image_spec)
        self.margin, self.images_per_class = margin, images_per_class
        self.encoder = Encoder(
            code_size, encoder_features, normalised=True, name="encoder", dtype=self.dtype_policy
        )

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights; `input_shape` is ignored, Keras passes it."""
        self.encoder.build((None, *self.image_shape))
        self.built = True

    def call(self, images: Array) -> tf.Tensor:
        """The embeddings of images: integers 0…levels−1 [N, H, W, C] → unit vectors [N, D].

        Raises:
          ValueError: images that do not fit the model.
        """
        return self._embedded(self.checked_images(images))

    def _embedded(self, images):
        return tf.cast(self.encoder(self.scale(images)), tf.float32)

    def checked(
        self, images: Array, labels: Array | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """See `Trainable`; labels may be any integers: whoever is new has a new one."""
        images, _ = super().checked(images)
        labels = tf.convert_to_tensor([] if labels is None else labels)
        if labels.dtype.is_floating or not labels.shape.is_compatible_with(images.shape[:1]):
            raise ValueError(
                f"an embedding learns from identities: labels must be integers of shape "
                f"[{images.shape[0]}], got {labels.dtype.name} of shape {labels.shape.as_list()}."
            )
        return images, labels

    def predict_step(self, data: Any) -> tf.Tensor:
        """See `KerasTraining`; data may have labels, as those of `fit`."""
        return self(unpacked(data)[0])

    def training_loss_of(self, images: Array, labels: Array | None, training: bool) -> tf.Tensor:
        """See `Trainable.training_loss_of`."""
        return triplet_losses(self._embedded(images), labels, self.margin)


def triplet_losses(embeddings, labels, margin):
    """The triplet loss over all anchor-positive pairs of a batch, with semi-hard negatives.

    A pair's negative is the nearest image of another identity that is farther from the anchor than
    the positive; if there is none, the farthest one.

    Args:
      embeddings: unit vectors [N, D].
      labels: identities, integers [N].
      margin: α.

    Returns:
      [N]: of every anchor the mean over its positives of [d(a, p) − d(a, n) + α]₊ with squared
      distances; 0 for an anchor without a positive or without a negative.
    """
    distances = 2.0 - 2.0 * tf.matmul(embeddings, embeddings, transpose_b=True)  # unit length
    same = tf.equal(labels[:, tf.newaxis], labels)
    positive = same & ~tf.eye(tf.shape(labels)[0], dtype=tf.bool)
    # [anchor, positive, negative]
    farther = ~same[:, tf.newaxis] & (distances[:, tf.newaxis] > distances[:, :, tf.newaxis])
    far = 8.0  # more than any distance
    nearest = tf.reduce_min(tf.where(farther, distances[:, tf.newaxis], far), axis=-1)
    farthest = tf.reduce_max(tf.where(same, -far, distances), axis=-1, keepdims=True)
    negative = tf.where(tf.reduce_any(farther, axis=-1), nearest, farthest)
    counted = positive & ~tf.reduce_all(same, axis=-1, keepdims=True)
    losses = tf.where(counted, tf.nn.relu(distances - negative + margin), 0.0)
    pairs = tf.reduce_sum(tf.cast(counted, tf.float32), axis=-1)
    return tf.reduce_sum(losses, axis=-1) / tf.maximum(pairs, 1.0)
