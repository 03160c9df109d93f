"""A split that can only be read in order, and is too big to be held in memory."""

import tensorflow as tf

from gated_pixelcnn.data.split import Split

SHUFFLE_BUFFER = 20_000  # encoded images


class StreamSplit(Split):
    """Encoded examples in a fixed order, decoded as they are needed.

    An epoch is shuffled through a buffer of encoded examples, seeded by (seed, epoch). Jumping to
    a step reads the encoded examples of that epoch which come before it, and decodes none.
    """

    def __init__(self, encoded, decode, num_images, image_shape, has_labels):
        """Opens the split.

        Args:
          encoded: Finite tf.data.Dataset of encoded examples, tuples of scalars, in an order that
            is always the same.
          decode: Maps an encoded example, in a graph, to (image uint8 [H, W, C], label int32 []),
            or to (image,).
          num_images: Number of examples.
          image_shape: (H, W, C).
          has_labels: Whether `decode` gives labels.
        """
        self._encoded = encoded
        self._decode = decode
        self.num_images = num_images
        self.image_shape = image_shape
        self.has_labels = has_labels

    def _train_examples(self, batch_size, seed, start_step, shard):
        first_epoch, first_step = divmod(start_step, self.num_images // batch_size)

        def epoch_of_batches(epoch):
            seeds = tf.random.stateless_uniform(
                (2,), (seed, epoch), None, None, tf.int64, alg="philox"
            )
            shuffled = _shuffled(self._encoded, min(SHUFFLE_BUFFER, self.num_images), seeds)
            batches = shuffled.batch(batch_size, drop_remainder=True)
            skipped = tf.where(epoch == first_epoch, tf.constant(first_step, tf.int64), 0)
            return batches.skip(skipped)

        return (
            tf.data.Dataset.range(first_epoch, tf.int64.max)
            .flat_map(epoch_of_batches)
            .map(lambda *batch: tuple(part[shard] for part in batch))
            .unbatch()
            .map(self._decode, num_parallel_calls=tf.data.AUTOTUNE)
            .batch(shard.stop - shard.start, drop_remainder=True)
        )

    def _eval_examples(self, batch_size):
        decoded = self._encoded.map(self._decode, num_parallel_calls=tf.data.AUTOTUNE)
        return decoded.batch(batch_size)


def _shuffled(dataset, buffer_size, seeds):
    """The dataset shuffled by two seeds, tensors int64, alone.

    Dataset.shuffle mixes TensorFlow's global seed into its own, and fails if that is 0 and its own
    a tensor.
    """
    structure = dataset.element_spec
    parts = tf.nest.flatten(structure)
    shuffled = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(dataset),
        buffer_size=tf.constant(buffer_size, tf.int64),
        seed=seeds[0],
        seed2=seeds[1],
        output_types=[part.dtype for part in parts],
        output_shapes=[part.shape for part in parts],
        reshuffle_each_iteration=False,
    )
    return tf.data.experimental.from_variant(shuffled, structure)
