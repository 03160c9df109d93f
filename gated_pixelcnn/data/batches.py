"""A split: a number of images, and the batches that are made of them.

The batch of step t is a function of (seed, t) only, so that training resumes exactly from its
step number, and shard i of n is a slice of it, so that n replicas together see what one would.
"""

import abc
import copy
import re
import weakref
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from gated_pixelcnn.data.preprocessing import middle_patch
from gated_pixelcnn.data.python_calls import numpy_function
from gated_pixelcnn.errors import UserError, first_line


def input_error(error: tf.errors.OpError, source: str = "the images") -> UserError:
    """Makes one sentence of an error that TensorFlow raised while it read images.

    Args:
      error: What iterating over the batches of a split raised.
      source: What was read.

    Returns:
      The UserError that was raised inside of the graph, which names the file, if there was one.
    """
    return UserError(sentence_in(error) or f"{source} cannot be read ({first_line(error)})")


def sentence_in(error: tf.errors.OpError) -> str:
    """Returns the sentence of a UserError that was raised inside of a graph, or ""."""
    asserted = re.search(r"assertion failed: \[(.*)\]", error.message)
    found = re.search(r"UserError: (.*)", asserted[1] if asserted else error.message)
    sentence = found[1] if found else ""
    return sentence.replace("\\'", "'") if asserted else sentence


class Split(abc.ABC):
    """Images in order, alone, with labels or with conditions.

    Attributes:
      num_images: How many.
      image_shape: (H, W, C).
      has_labels: Whether batches have labels.
      labels: int32 [N]; None where there are none, or where they are not known.
      condition_shape: (D,) of vectors or (H, W, D) of maps, of whole images; () where batches have
        none.
    """

    def __init__(
        self,
        num_images: int,
        image_shape: tuple[int, int, int],
        has_labels: bool,
        condition_shape: tuple[int, ...] = (),
    ):
        """Makes the split of whole images."""
        self.num_images = num_images
        self.image_shape = self._whole_shape = tuple(image_shape)
        self.has_labels = has_labels
        self.labels = None
        self.condition_shape = tuple(condition_shape)

    def of_patches(self, size: int) -> "Split":
        """Returns the split of square patches of these images, one of each.

        In training they are at random places, which are a function of (seed, step) as the batch
        itself; else in the middle.

        Args:
          size: Height and width of a patch in pixels, at most those of the images.
        """
        patches = copy.copy(self)
        patches.image_shape = (size, size, self.image_shape[-1])
        return patches

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
          seed: Seed of the order, of the places of patches and of the flips.
          start_step: Number of batches to jump over.
          num_shards: Number of equal slices that each batch is cut into.
          shard_index: Which slice this dataset gives.
          flips: Whether each image is mirrored left-right with probability one half.
          per_class: Where it is not 0, a batch is made of so many images of each of
            batch_size / per_class classes, chosen anew for every batch.

        Returns:
          Dataset of (images uint8 [batch_size / num_shards, H, W, C], labels int32
          [batch_size / num_shards]), or of (images, conditions float32 [batch_size / num_shards,
          ...]), or of (images,) if the split has neither.

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
        patches = self.image_shape != self._whole_shape

        def vary(step, batch):
            """Varies the images, and maps in the same way."""

            def varied(images):
                if patches:
                    images = self._random_patches(images, seed, step, batch_size, shard)
                if flips:
                    images = _random_flips(images, seed, step, batch_size, shard)
                return images

            return tuple(varied(x) if x.shape.rank == 4 else x for x in batch)

        if patches or flips:
            steps = tf.data.Dataset.range(start_step, tf.int64.max)
            examples = mapped(tf.data.Dataset.zip(steps, examples), vary)
        # Known to have no end: tf.distribute would ask all workers for it before every step.
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return _finished(examples.apply(endless))

    def eval_batches(self, batch_size: int) -> tf.data.Dataset:
        """Returns all the images once and in order; the last batch may be smaller.

        Args:
          batch_size: Number of images of each batch but the last.

        Returns:
          Dataset of (images uint8 [batch_size, H, W, C], labels int32 [batch_size] or conditions
          float32 [batch_size, ...]), or of (images,) if the split has neither.
        """
        if batch_size < 1:
            raise UserError(f"the batch size must be at least 1, but is {batch_size}")
        examples = self._eval_examples(batch_size)
        if self.image_shape != self._whole_shape:
            size = self.image_shape[0]
            examples = mapped(
                examples,
                lambda *batch: tuple(
                    middle_patch(x, size, size) if x.shape.rank == 4 else x for x in batch
                ),
            )
        return _finished(examples)

    def take(self, num: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns the first `num` images, uint8 [num, H, W, C], and labels, conditions or None.

        Raises:
          UserError: If one of them cannot be read.
        """
        try:
            batch = next(iter(self.eval_batches(min(num, self.num_images))))
        except tf.errors.OpError as error:
            raise input_error(error) from error
        return batch[0].numpy(), batch[1].numpy() if len(batch) > 1 else None

    def _examples_by_class(self, batch_size, seed, start_step, shard, per_class):
        """The examples of `train_batches` where `per_class` is not 0."""
        raise UserError(
            "batches by identity need images that can be had in any order; those of this source "
            "can only be read one after the other: raise data.memory_limit_mb"
        )

    @abc.abstractmethod
    def _train_examples(self, batch_size, seed, start_step, shard):
        """Batches of whole images as of train_batches, without flips."""

    @abc.abstractmethod
    def _eval_examples(self, batch_size):
        """Batches of whole images as of eval_batches."""

    def _random_patches(self, images, seed, step, batch_size, shard):
        size, (height, width, _) = self.image_shape[0], self._whole_shape
        # 2^62 + step: no seed of the shuffling or of the flips is ever the same.
        bits = tf.random.stateless_uniform(
            (batch_size, 2), (seed, step + 2**62), None, None, tf.uint32, alg="philox"
        )
        corners = tf.cast(bits[shard], tf.int64) % np.array([height - size + 1, width - size + 1])
        rows, columns = (
            corners[:, axis, tf.newaxis] + tf.range(size, dtype=tf.int64) for axis in (0, 1)
        )
        strips = tf.gather(images, rows, axis=1, batch_dims=1)
        return tf.gather(strips, columns, axis=2, batch_dims=1)


class IndexedSplit(Split):
    """A split whose images can be had by their numbers, in any order."""

    def __init__(
        self,
        read: Callable[[np.ndarray], np.ndarray],
        num_images: int,
        image_shape: tuple[int, int, int],
        beside: np.ndarray | None = None,
        dtype: type = np.uint8,
    ):
        """Keeps the function and what is beside the images.

        Args:
          read: Maps numbers of images, int64 [B], to the images [B, H, W, C], values
            0..levels-1. It is called by several threads.
          num_images: Number of images.
          image_shape: (H, W, C).
          beside: Labels, int [N], or conditions, float32 [N, ...], or None.
          dtype: Of the images.
        """
        has_labels = beside is not None and beside.ndim == 1
        conditions = None if has_labels else beside
        super().__init__(
            num_images, image_shape, has_labels, () if conditions is None else beside.shape[1:]
        )
        self._read_stored, self._dtype = read, dtype
        self._numbers = None  # of the stored images; None: all of them
        self.labels = beside.astype(np.int32) if has_labels else None
        self._conditions = conditions  # by the numbers of the stored images

    def subset(self, indices: np.ndarray) -> "IndexedSplit":
        """Returns the split of the images of these numbers, in this order."""
        part = copy.copy(self)
        part._numbers = self._stored_numbers(indices)
        part.num_images = len(indices)
        part.labels = None if self.labels is None else self.labels[indices]
        return part

    def _stored_numbers(self, indices):
        return indices if self._numbers is None else self._numbers[indices]

    def _read(self, indices):
        return self._read_stored(self._stored_numbers(indices))

    def _fetch(self, indices):
        # TensorFlow keeps for good what it calls: by a weak reference, the images can be freed.
        # The dataset, which maps this method, holds the split.
        read = weakref.WeakMethod(self._read)
        images = numpy_function(lambda numbers: read()(numbers), [indices], self._dtype)
        images = tf.ensure_shape(images, (*indices.shape, *self._whole_shape))
        if self.has_labels:
            return images, tf.gather(self.labels, indices)
        if not self.condition_shape:
            return (images,)
        # Maps are too many to be a constant of the graph.
        look = weakref.WeakMethod(self._look_up)
        conditions = numpy_function(lambda numbers: look()(numbers), [indices], tf.float32)
        return images, tf.ensure_shape(conditions, (*indices.shape, *self.condition_shape))

    def _look_up(self, indices):
        return self._conditions[self._stored_numbers(indices)]

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
        return mapped(epochs.flat_map(epoch_of_batches), self._fetch)

    def _examples_by_class(self, batch_size, seed, start_step, shard, per_class):
        """Batches by class, a function of (seed, step); see `train_batches`."""
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

        return mapped(tf.data.Dataset.range(start_step, tf.int64.max), fetch)

    def _eval_examples(self, batch_size):
        def fetch(start):
            end = tf.minimum(start + batch_size, self.num_images)
            return self._fetch(tf.range(start, end, dtype=tf.int64))

        return mapped(tf.data.Dataset.range(0, self.num_images, batch_size), fetch)


class ArraySplit(IndexedSplit):
    """Images in memory. They are not copied: nobody may change them while batches are made."""

    def __init__(self, images: np.ndarray, beside: np.ndarray | None = None):
        """Keeps the arrays.

        Args:
          images: uint8 or uint16 [N, H, W, C], values 0..levels-1.
          beside: Labels int [N], or conditions float32 [N, ...], or None.
        """
        super().__init__(images.__getitem__, len(images), images.shape[1:], beside, images.dtype)
        self._stored = images

    @property
    def images(self) -> np.ndarray:
        """The whole images [N, H, W, C]; of a subset, a copy."""
        return self._stored if self._numbers is None else self._stored[self._numbers]


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


def mapped(dataset: tf.data.Dataset, function: Callable) -> tf.data.Dataset:
    """Returns a dataset mapped by a function, in parallel and in order."""
    return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE)


def _finished(dataset):
    options = tf.data.Options()
    options.deterministic = True
    # Batches are sharded already; tf.distribute must not do it again.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)
