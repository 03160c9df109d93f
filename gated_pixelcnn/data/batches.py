"""A split: a number of images, and the batches that are made of them.

The batch of step t is a function of (seed, t) only, so that training resumes exactly from its
step number, and shard i of n is a slice of it, so that n replicas together see what one would.
"""

import abc
import re
import weakref

import numpy as np
import tensorflow as tf

from gated_pixelcnn.data.image_reading import READ_ERRORS, read_prepared, why_unreadable
from gated_pixelcnn.data.preprocessing import to_levels
from gated_pixelcnn.data.python_calls import numpy_function
from gated_pixelcnn.errors import UserError

SHUFFLE_BUFFER = 20_000  # encoded images


def input_error(error: tf.errors.OpError, source: str = "the images") -> UserError:
    """Makes one sentence of an error that TensorFlow raised while it read images.

    Args:
      error: What iterating over the batches of a split raised.
      source: What was read.

    Returns:
      The UserError that was raised inside of the graph, which names the file, if there was one.
    """
    ours = re.search(r"UserError: (.*)", error.message)
    first_line = (error.message.strip().splitlines() or [""])[0][:200]
    return UserError(
        ours[1] if ours else f"{source} cannot be read ({type(error).__name__}: {first_line})"
    )


class Split(abc.ABC):
    """Images in order, with or without labels.

    Attributes:
      num_images: How many.
      image_shape: (H, W, C).
      has_labels: Whether batches have labels.
    """

    num_images: int
    image_shape: tuple[int, int, int]
    has_labels: bool

    def train_batches(
        self,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        num_shards: int = 1,
        shard_index: int = 0,
        flips: bool = False,
        per_class: int = 0,
    ) -> tf.data.Dataset:
        """Returns the endless batches of training, shuffled anew in every epoch.

        The last images of an epoch that do not fill a batch are left out of that epoch.

        Args:
          batch_size: Global batch size: that of all shards together.
          seed: Seed of the order and of the flips.
          start_step: Number of batches to jump over.
          num_shards: Number of equal slices that each batch is cut into.
          shard_index: Which slice this dataset gives.
          flips: Whether each image is mirrored left-right with probability one half.
          per_class: Where it is not 0, a batch is made of so many images of each of
            batch_size / per_class classes, chosen anew for every batch.

        Returns:
          Dataset of (images uint8 [batch_size / num_shards, H, W, C], labels int32
          [batch_size / num_shards]), or of (images,) if the split has no labels.

        Raises:
          UserError: If the batch is larger than the split or not divisible by `num_shards`.
        """
        if not 1 <= batch_size <= self.num_images:
            raise UserError(
                f"train.batch_size must be at least 1 and at most {self.num_images}, the number of "
                f"training images, but is {batch_size}"
            )
        if batch_size % num_shards:
            raise UserError(
                f"train.batch_size={batch_size} cannot be divided by {num_shards} replicas"
            )
        share = batch_size // num_shards
        shard = slice(shard_index * share, (shard_index + 1) * share)
        if per_class:
            examples = self._examples_by_class(batch_size, seed, start_step, shard, per_class)
        else:
            examples = self._train_examples(batch_size, seed, start_step, shard)
        steps = tf.data.Dataset.range(start_step, tf.int64.max)

        def flip(step, batch):
            flipped = _random_flips(batch[0], seed, step, batch_size, shard)
            return (flipped, *batch[1:])

        if flips:
            examples = tf.data.Dataset.zip(steps, examples).map(
                flip, num_parallel_calls=tf.data.AUTOTUNE
            )
        # Known to have no end: tf.distribute would ask all workers for it before every step.
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return _finished(examples.apply(endless))

    def eval_batches(self, batch_size: int) -> tf.data.Dataset:
        """Returns all the images once and in order; the last batch may be smaller.

        Args:
          batch_size: Number of images of each batch but the last.

        Returns:
          Dataset of (images uint8 [batch_size, H, W, C], labels int32 [batch_size]), or of
          (images,) if the split has no labels.
        """
        if batch_size < 1:
            raise UserError(f"the batch size must be at least 1, but is {batch_size}")
        return _finished(self._eval_examples(batch_size))

    def take(self, num: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns the first `num` images, uint8 [num, H, W, C], and their labels or None.

        Raises:
          UserError: If one of them cannot be read.
        """
        try:
            batch = next(iter(self.eval_batches(min(num, self.num_images))))
        except tf.errors.OpError as error:
            raise input_error(error) from error
        return batch[0].numpy(), batch[1].numpy() if self.has_labels else None

    def _examples_by_class(self, batch_size, seed, start_step, shard, per_class):
        """The examples of `train_batches` where `per_class` is not 0."""
        raise UserError(
            "batches by identity need images that can be had in any order; those of this source "
            "can only be read one after the other: raise data.memory_limit_mb"
        )

    @abc.abstractmethod
    def _train_examples(self, batch_size, seed, start_step, shard):
        """Batches as of train_batches, without flips."""

    @abc.abstractmethod
    def _eval_examples(self, batch_size):
        """Batches as of eval_batches."""


class IndexedSplit(Split):
    """A split whose images can be had by their numbers, in any order.

    Attributes:
      labels: int32 [N], or None.
    """

    labels: np.ndarray | None

    @abc.abstractmethod
    def subset(self, indices: np.ndarray) -> "IndexedSplit":
        """Returns the split of the images of these numbers, in this order."""

    @abc.abstractmethod
    def _read(self, indices):
        """Returns the images of these numbers, int64 [B], as uint8 [B, H, W, C]."""

    def _fetch(self, indices):
        # TensorFlow keeps for good what it calls: by a weak reference, the images can be freed.
        # The dataset, which maps this method, holds the split.
        read = weakref.WeakMethod(self._read)
        images = numpy_function(lambda numbers: read()(numbers), [indices], tf.uint8)
        images = tf.ensure_shape(images, (*indices.shape, *self.image_shape))
        return (images, tf.gather(self.labels, indices)) if self.has_labels else (images,)

    def _train_examples(self, batch_size, seed, start_step, shard):
        steps_per_epoch = self.num_images // batch_size
        first_epoch, first_step = divmod(start_step, steps_per_epoch)

        def epoch_of_batches(epoch):
            order = tf.random.experimental.stateless_shuffle(
                tf.range(self.num_images, dtype=tf.int64), seed=(seed, epoch), alg="philox"
            )
            batches = tf.reshape(order[: steps_per_epoch * batch_size], (-1, batch_size))
            skipped = tf.where(epoch == first_epoch, np.int64(first_step), np.int64(0))
            return tf.data.Dataset.from_tensor_slices(batches[skipped:, shard])

        epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
        return epochs.flat_map(epoch_of_batches).map(
            self._fetch, num_parallel_calls=tf.data.AUTOTUNE
        )

    def _examples_by_class(self, batch_size, seed, start_step, shard, per_class):
        """See `train_batches`; the classes and images of a batch are a function of (seed, step)."""
        if batch_size % per_class or (shard.stop - shard.start) % per_class:
            raise UserError(
                f"train.batch_size={batch_size}, and the part of each replica, must be a multiple "
                f"of model.images_per_class={per_class}"
            )
        counts = np.bincount(self.labels) if self.has_labels else np.zeros(0, int)
        classes = np.flatnonzero(counts >= per_class)
        if len(classes) < batch_size // per_class:
            raise UserError(
                f"train.batch_size={batch_size} needs {batch_size // per_class} identities with "
                f"{per_class} images or more, but the training images have {len(classes)}; choose "
                "a smaller batch or model.images_per_class"
            )
        order = np.argsort(self.labels, kind="stable")
        starts = tf.constant(np.cumsum(counts) - counts, tf.int64)
        most, counts = counts[classes].max(), tf.constant(counts, tf.int64)

        def fetch(step):
            chosen = tf.random.experimental.stateless_shuffle(
                tf.constant(classes), seed=(seed, step), alg="philox"
            )[: batch_size // per_class, tf.newaxis]
            keys = tf.random.stateless_uniform((len(chosen), most), (seed, -1 - step), alg="philox")
            there = tf.range(most, dtype=tf.int64) < tf.gather(counts, chosen)
            picked = tf.argsort(tf.where(there, keys, 2.0), stable=True)[:, :per_class]
            places = tf.gather(starts, chosen) + tf.cast(picked, tf.int64)
            return self._fetch(tf.gather(order, tf.reshape(places, [-1])[shard]))

        return tf.data.Dataset.range(start_step, tf.int64.max).map(
            fetch, num_parallel_calls=tf.data.AUTOTUNE
        )

    def _eval_examples(self, batch_size):
        starts = tf.data.Dataset.range(0, self.num_images, batch_size)

        def fetch(start):
            end = tf.minimum(start + batch_size, self.num_images)
            return self._fetch(tf.range(start, end, dtype=tf.int64))

        return starts.map(fetch, num_parallel_calls=tf.data.AUTOTUNE)


class ArraySplit(IndexedSplit):
    """Images in memory. They are not copied: nobody may change them while batches are made.

    Attributes:
      labels: int32 [N], or None.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        numbers: np.ndarray | None = None,
    ):
        """Keeps the arrays.

        Args:
          images: uint8 [M, H, W, C], values 0..levels-1.
          labels: int [N], or None.
          numbers: int64 [N], which of `images` make up the split; None: all of them.
        """
        self._stored = images
        self._numbers = numbers
        self.labels = None if labels is None else labels.astype(np.int32)
        self.num_images = len(images if numbers is None else numbers)
        self.image_shape = tuple(images.shape[1:])
        self.has_labels = labels is not None

    @property
    def images(self) -> np.ndarray:
        """The images, uint8 [N, H, W, C]; of a subset, a copy."""
        return self._stored if self._numbers is None else self._stored[self._numbers]

    def subset(self, indices):
        """Returns the split of the images of these numbers, in this order."""
        labels = None if self.labels is None else self.labels[indices]
        return ArraySplit(self._stored, labels, self._stored_numbers(indices))

    def _read(self, indices):
        return self._stored[self._stored_numbers(indices)]

    def _stored_numbers(self, indices):
        return indices if self._numbers is None else self._numbers[indices]


def _random_flips(images, seed, step, batch_size, shard):
    """Mirrors each image with probability one half; a function of (seed, step) only."""
    # -1 - step: no seed of the shuffling, (seed, epoch), is ever the same.
    bits = tf.random.stateless_uniform(
        (batch_size,), (seed, -1 - step), None, None, tf.uint32, alg="philox"
    )
    mirrored = tf.cast(bits[shard] >= 2**31, tf.int32)
    # Both versions and a choice of rows: ten times as fast as images[:, :, ::-1] in a tf.where.
    both = tf.concat([images, tf.reverse(images, [2])], 0)
    share = shard.stop - shard.start
    return tf.gather(both, tf.range(share) + share * mirrored)


def _finished(dataset):
    options = tf.data.Options()
    options.deterministic = True
    # Batches are sharded already; tf.distribute must not do it again.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)


class FileSplit(IndexedSplit):
    """Images of files, decoded batch by batch."""

    def __init__(self, paths, frames, labels, image_shape, config, values):
        """Opens the split.

        Args:
          paths: The file of each image.
          frames: Its number in the file.
          labels: int32 [N], or None.
          image_shape: Shape (H, W, C) that the images are brought to.
          config: The DataConfig.
          values: Whether they hold levels or bytes, see data/preprocessing.py.
        """
        self._paths = np.array([str(path) for path in paths])
        self._frames = np.asarray(frames)
        self.labels = labels
        self._config = config
        self._values = values
        self.num_images = len(paths)
        self.image_shape = image_shape
        self.has_labels = labels is not None

    def subset(self, indices):
        """Returns the split of the images of these numbers, in this order."""
        labels = None if self.labels is None else self.labels[indices]
        how = self.image_shape, self._config, self._values
        return FileSplit(self._paths[indices], self._frames[indices], labels, *how)

    def _read(self, indices):
        images = np.empty((len(indices), *self.image_shape), np.uint8)
        for place, number in zip(images, indices, strict=True):
            path, frame = self._paths[number], int(self._frames[number])
            image = read_one(path, frame, self.image_shape, self._config)
            place[...] = to_levels(image, self._config.levels, self._values, path)
        return images


def read_one(path, frame, shape, config):
    """The same as `read_prepared`, but all that may be wrong with a file is a UserError."""
    try:
        return read_prepared(path, frame, shape, config)
    except READ_ERRORS as error:
        why = " ".join(why_unreadable(path, error).splitlines())
    # Inside of a graph: `input_error` makes the sentence of what TensorFlow makes of it.
    raise UserError(f"image file {path} cannot be used ({why}); remove or replace it")


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
