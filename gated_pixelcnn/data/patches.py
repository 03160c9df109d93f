"""Patches of the images of a split: at random places in training, else the middle ones."""

import numpy as np
import tensorflow as tf

from gated_pixelcnn.data.split import Split


class PatchSplit(Split):
    """Square patches, one of each image.

    Those of a batch of training are a function of (seed, step), as the batch itself.

    Attributes:
      labels: Those of the images, int32 [N], or None; None, too, where they are not known.
    """

    def __init__(self, images: Split, size: int):
        """Cuts the patches of a split as they are asked for.

        Args:
          images: The split, its images of `size` pixels or more in height and width.
          size: Height and width of a patch.
        """
        self._images = images
        self._size = size
        self.num_images = images.num_images
        self.image_shape = (size, size, images.image_shape[-1])
        self.has_labels = images.has_labels
        self.labels = getattr(images, "labels", None)

    def _train_examples(self, batch_size, seed, start_step, shard):
        examples = self._images._train_examples(batch_size, seed, start_step, shard)
        return self._at_random(examples, batch_size, seed, start_step, shard)

    def _examples_by_class(self, batch_size, seed, start_step, shard, per_class):
        examples = self._images._examples_by_class(batch_size, seed, start_step, shard, per_class)
        return self._at_random(examples, batch_size, seed, start_step, shard)

    def _at_random(self, examples, batch_size, seed, start_step, shard):
        height, width, _ = self._images.image_shape
        places = np.array([height - self._size + 1, width - self._size + 1])

        def cut(step, batch):
            # 2^62 + step: no seed of the shuffling or of the flips is ever the same.
            bits = tf.random.stateless_uniform(
                (batch_size, 2), (seed, step + 2**62), None, None, tf.uint32, alg="philox"
            )
            corners = tf.cast(bits[shard], tf.int64) % places
            return (self._patches(batch[0], corners), *batch[1:])

        steps = tf.data.Dataset.range(start_step, tf.int64.max)
        return tf.data.Dataset.zip(steps, examples).map(cut, num_parallel_calls=tf.data.AUTOTUNE)

    def _eval_examples(self, batch_size):
        height, width, _ = self._images.image_shape
        top, left = (height - self._size) // 2, (width - self._size) // 2

        def cut(images, *labels):
            return (images[:, top : top + self._size, left : left + self._size], *labels)

        examples = self._images._eval_examples(batch_size)
        return examples.map(cut, num_parallel_calls=tf.data.AUTOTUNE)

    def _patches(self, images, corners):
        rows, columns = (
            corners[:, axis, tf.newaxis] + tf.range(self._size, dtype=tf.int64) for axis in (0, 1)
        )
        strips = tf.gather(images, rows, axis=1, batch_dims=1)
        return tf.gather(strips, columns, axis=2, batch_dims=1)
