"""A split that is read from disk while training, one image after the other."""

import tensorflow as tf

from gated_pixelcnn.data.batches import Split, mapped

SHUFFLE_BUFFER = 20_000  # encoded images


class StreamSplit(Split):
    """Encoded examples in a fixed order, decoded as they are needed; too big for memory.

    An epoch is shuffled through a buffer of encoded examples, seeded by (seed, epoch). Jumping to
    a step reads the encoded examples of that epoch which come before it, and decodes none.
    """

    def __init__(self, encoded, decode, num_images, image_shape, has_labels, condition_shape=()):
        """Opens the split.

        Args:
          encoded: Finite tf.data.Dataset of encoded examples, tuples of scalars, in an order that
            is always the same.
          decode: Maps an encoded example, in a graph, to (image uint8 [H, W, C], label int32 []),
            to (image, condition float32 [...]), or to (image,).
          num_images: Number of examples.
          image_shape: (H, W, C).
          has_labels: Whether `decode` gives labels.
          condition_shape: That of the conditions that `decode` gives; () without.
        """
        super().__init__(num_images, image_shape, bool(has_labels), condition_shape)
        self._encoded = encoded
        self._decode = decode

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

        batches = tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(epoch_of_batches)
        shards = batches.map(lambda *batch: tuple(part[shard] for part in batch))
        decoded = mapped(shards.unbatch(), self._decode)
        return decoded.batch(shard.stop - shard.start, drop_remainder=True)

    def _eval_examples(self, batch_size):
        return mapped(self._encoded, self._decode).batch(batch_size)


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
