"""The batches of a split."""

import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest

from gated_pixelcnn.data.batches import ArraySplit
from gated_pixelcnn.errors import UserError

NUM = 23


@pytest.fixture(scope="module", name="numbered")
def make_numbered():
    """Image i has i as its every value but the last column, and the label 100 + i."""
    images = np.empty((NUM, 2, 3, 1), np.uint8)
    images[:] = np.arange(NUM)[:, None, None, None]
    images[:, :, -1] = 255
    return ArraySplit(images, np.arange(NUM) + 100)


def steps(split, count, *args, **options):
    batches = split.train_batches(*args, **options).take(count).as_numpy_iterator()
    return [tuple(part.tolist() for part in batch) for batch in batches]


def test_each_epoch_is_a_new_permutation_and_labels_stay_with_their_images(numbered):
    batches = list(numbered.train_batches(5, seed=3).take(8).as_numpy_iterator())
    for images, labels in batches:
        assert (images.dtype, images.shape) == (np.uint8, (5, 2, 3, 1))
        assert (labels.dtype, labels.shape) == (np.int32, (5,))
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels - 100)
    epochs = [np.concatenate([labels for _, labels in batches[i : i + 4]]) for i in (0, 4)]
    assert [len(set(epoch)) for epoch in epochs] == [20, 20]
    assert epochs[0].tolist() != epochs[1].tolist()


def test_batch_of_a_step_depends_on_seed_and_step_only(numbered):
    whole = steps(numbered, 14, 5, seed=3, flips=True)
    assert whole == steps(numbered, 14, 5, seed=3, flips=True)
    assert steps(numbered, 4, 5, seed=3) != steps(numbered, 4, 5, seed=4)
    for start in (1, 4, 7, 12):
        assert whole[start:] == steps(numbered, 14 - start, 5, seed=3, start_step=start, flips=True)


@pytest.mark.parametrize("shards", [2, 3])
def test_shards_together_are_the_global_batch(numbered, shards):
    options = {"seed": 1, "start_step": 2, "flips": True}
    whole = steps(numbered, 5, 6, **options)
    parts = [
        steps(numbered, 5, 6, num_shards=shards, shard_index=index, **options)
        for index in range(shards)
    ]
    for batch, *pieces in zip(whole, *parts, strict=True):
        images, labels = zip(*pieces, strict=True)
        assert (sum(images, []), sum(labels, [])) == batch


def test_flips_mirror_about_half_of_the_images_left_to_right(numbered):
    plain = numbered.train_batches(20, seed=0).take(20).as_numpy_iterator()
    flipped = numbered.train_batches(20, seed=0, flips=True).take(20).as_numpy_iterator()
    mirrored = []
    for (before, _), (after, _) in zip(plain, flipped, strict=True):
        which = np.any(before != after, axis=(1, 2, 3))
        np.testing.assert_array_equal(after[which], before[which, :, ::-1])
        mirrored.append(tuple(which))
    assert 150 < np.sum(mirrored) < 250  # of 400: five standard deviations
    assert len(set(mirrored)) == 20  # others in every step


@pytest.mark.parametrize("batch_size", [1, 5, 23, 50])
def test_evaluation_sees_every_image_once_in_order(numbered, batch_size):
    batches = list(numbered.eval_batches(batch_size).as_numpy_iterator())
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), numbered.images)
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), numbered.labels)
    assert {len(x) for x, _ in batches[:-1]} <= {batch_size}


def test_images_and_flips_of_a_seed_stay_what_they_were(numbered):
    """A run of an earlier version must go on with the same batches."""
    (images, _), *_ = numbered.train_batches(8, seed=3, start_step=1, flips=True).take(1)
    assert images[:, 0, 1, 0].numpy().tolist() == [11, 8, 17, 3, 16, 18, 22, 2]
    flipped = images[:, 0, 0, 0].numpy() == 255
    assert flipped.tolist() == [True, False, True, True, False, True, False, False]


def test_images_in_memory_are_read_where_they_lie():
    images = np.zeros((40, 2, 2, 1), np.uint8)
    split = ArraySplit(images).subset(np.arange(30))
    train = iter(split.train_batches(5, seed=0))
    next(train)
    evaluation = iter(split.eval_batches(1))
    next(evaluation)
    images[:] = 9
    for batches in (train, evaluation):
        *_, (last,) = (next(batches) for _ in range(29))  # more than are prefetched
        assert np.all(last == 9)


def test_batches_need_no_other_reference_to_the_split_and_free_the_images():
    class Array(np.ndarray):
        """Unlike its base class, allows weak references."""

    images = np.zeros((20, 2, 2, 1), np.uint8).view(Array)
    alive = weakref.ref(images)
    train = iter(ArraySplit(images).train_batches(5, seed=0, flips=True))
    evaluation = iter(ArraySplit(images).subset(np.arange(20)).eval_batches(1))
    del images
    gc.collect()
    assert [len(next(train)[0]) for _ in range(20)] == [5] * 20
    assert len(list(evaluation)) == 20
    del train, evaluation
    gc.collect()
    assert alive() is None


def test_process_ends_while_batches_are_being_made():
    program = """
import numpy as np
from gated_pixelcnn.data.batches import ArraySplit

split = ArraySplit(np.zeros((200, 256, 256, 3), np.uint8))
iterators = [iter(split.train_batches(64, seed)) for seed in range(4)]
for batches in iterators:
    next(batches)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300, capture_output=True)


def test_batches_without_labels_have_images_only(numbered):
    split = ArraySplit(numbered.images)
    (batch,) = split.train_batches(4, seed=0).take(1)
    assert len(batch) == 1
    images, labels = split.take(3)
    np.testing.assert_array_equal(images, numbered.images[:3])
    assert labels is None


def test_impossible_batch_sizes_are_refused(numbered):
    with pytest.raises(UserError, match="train.batch_size must be .* at most 23, .* but is 24"):
        numbered.train_batches(24, seed=0)
    with pytest.raises(UserError, match="train.batch_size=5 cannot be divided by 2"):
        numbered.train_batches(5, seed=0, num_shards=2)
    with pytest.raises(UserError, match="at least 1"):
        numbered.eval_batches(0)
