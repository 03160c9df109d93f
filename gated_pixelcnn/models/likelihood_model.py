"""What is trained by the log-probability of images: one network, or several that share the work."""

import abc

import tensorflow as tf

from gated_pixelcnn import evaluation
from gated_pixelcnn.models.density_model import DensityModel
from gated_pixelcnn.models.trainable import Trainable


class LikelihoodModel(DensityModel, Trainable):
    """A density model in training: bits/dim as the loss."""

    # What a derived class gives.

    @abc.abstractmethod
    def log_prob_parts_of(self, images, condition=None, training=False):
        """`log_prob_parts` without checks, for use inside a graph.

        Args:
          images: integers 0…levels−1 [N, H, W, C].
          condition: what the model is conditioned on, or None.
          training: whether dropout and the like are on.

        Returns:
          Nats, float64 [N, P]: sums of thousands of values.
        """

    @abc.abstractmethod
    def draw(self, seed, streams, condition, sharpness, given=None, known=None):
        """`sample` without checks, for use inside a graph.

        Args:
          seed: integer.
          streams: integers [N], the images' random streams.
          condition: what the model is conditioned on, or None.
          sharpness: see `sampling.Sharpness`.
          given: uint8 [N, H, W, C] or None.
          known: booleans [N, H, W, C]; where True the value of `given` is kept.

        Returns:
          uint8 [N, H, W, C].
        """

    def _request(self, *args, **kwargs):
        """See `DensityModel`; a model that nobody has called yet is built, as by a call."""
        if not self.built:
            self.build()
        return super()._request(*args, **kwargs)

    # Training, see `Trainable`.

    def trained_log_prob_of(self, images, condition, training):
        """What training makes larger, see `log_prob_parts_of`: nats, float64 [N]."""
        return tf.reduce_sum(self.log_prob_parts_of(images, condition, training), axis=1)

    @property
    def takes_labels(self):
        """See `Trainable`."""
        return self.condition_kind == "label"

    def training_loss_of(self, images, condition, training):
        """Bits/dim of every image [N], see `Trainable`."""
        nats = self.trained_log_prob_of(images, condition, training)
        return tf.cast(evaluation.bits_per_dim(-nats, self.image_shape), tf.float32)

    def test_loss_of(self, images, condition):
        """See `Trainable`: bits/dim, also where training minimises something else."""
        return LikelihoodModel.training_loss_of(self, images, condition, False), "bits_per_dim"

    def validation_loss(self, split, batch_size, num_images, log_prob_parts):
        """Bits/dim of a data split: the lowest tells the best weights; see `evaluation.score`."""
        score = evaluation.score(self, split, batch_size, num_images, log_prob_parts=log_prob_parts)
        return score["bits_per_dim"]
