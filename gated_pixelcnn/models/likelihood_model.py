"""Models trained by the log-probability of images: one network, or several submodels."""

import tensorflow as tf

from gated_pixelcnn.models.density_model import DensityModel
from gated_pixelcnn.models.trainable import Trainable
from gated_pixelcnn.spec import Array, bits_per_dim


class LikelihoodModel(DensityModel, Trainable):
    """A density model in training: bits/dim as the loss."""

    def trained_log_prob_of(
        self, images: Array, condition: Array | None, training: bool
    ) -> tf.Tensor:
        """The training objective, see `log_prob_terms_of`: nats, float64 [N]."""
        return tf.reduce_sum(self.log_prob_terms_of(images, condition, training), axis=1)

    @property
    def takes_labels(self) -> bool:
        """See `Trainable`."""
        return self.condition_spec.beside_images

    def training_loss_of(self, images: Array, condition: Array | None, training: bool) -> tf.Tensor:
        """Bits/dim of every image [N], see `Trainable`."""
        nats = self.trained_log_prob_of(images, condition, training)
        return tf.cast(bits_per_dim(-nats, self.image_shape), tf.float32)

    def test_loss_of(self, images: Array, condition: Array | None) -> tuple[tf.Tensor, str]:
        """See `Trainable`: bits/dim, also where training minimises something else."""
        return LikelihoodModel.training_loss_of(self, images, condition, False), "bits_per_dim"
