"""What training asks of a model, whatever it is trained for."""

import abc

import keras

from gated_pixelcnn.layers.weight_norm import data_dependent_initialisation


class Trainable(keras.Model):
    """Base class of all that train.py trains.

    Attributes:
      loss_name, loss_unit: of `training_loss`, for reports.
      validation_name, validation_unit: of `validation_loss`.
      takes_labels: whether batches of training have labels beside the images.
      images_per_class: where it is not 0, a batch has so many images of each of its classes.
      initialised_by_data: whether there are initial weights that a first batch sets.
      remat: whether the backward pass computes the inside of blocks again, where a model can.
    """

    loss_name = validation_name = "bits_per_dim"
    loss_unit = validation_unit = "bits/dim"
    takes_labels = False
    images_per_class = 0
    initialised_by_data = False
    remat = False

    def initialise(self, images, labels=None):
        """Sets the initial weights that depend on data, if there are any; see `training_loss`.

        Call it before the first step, with the same images on all workers.
        """
        if self.initialised_by_data:
            with data_dependent_initialisation():
                self.training_loss(images, labels, training=False)

    @abc.abstractmethod
    def training_loss(self, images, labels, training):
        """What training minimises the mean of.

        Args:
          images: integers 0…levels−1 [N, H, W, C].
          labels: integers [N], or None where `takes_labels` is off.
          training: whether dropout and the like are on.

        Returns:
          The loss of every image [N].
        """

    @abc.abstractmethod
    def validation_loss(self, split, batch_size, num_images, compute):
        """The number that tells the best weights: the lower the better.

        Args:
          split: a split of `data.load`.
          batch_size: number of images in one forward pass.
          num_images: look at the first images only; None for all.
          compute: what computes `log_prob_parts` of a density model, by all replicas.

        Returns:
          A float.
        """
