"""Patches: squares of images, at random places in training."""

import numpy as np
import pytest

from gated_pixelcnn import data
from gated_pixelcnn.errors import UserError

SIZE = 3


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Images of 5×7 whose values tell the place: 10 · row + column, and in a second colour which.

    Labels are the number of the image; there are twelve of training and four of tests.
    """
    place = 10 * np.arange(5)[:, None] + np.arange(7)
    images = np.stack([np.stack([place, np.full((5, 7), n)], -1) for n in range(12)])
    images = images.astype(np.uint8)
    path = tmp_path_factory.mktemp("patches") / "places.npz"
    np.savez(
        path, x_train=images, y_train=np.arange(12), x_test=images[:4] + 100, y_test=np.arange(4)
    )
    return path


def load(path, **options):
    return data.load(data.DataConfig(source=f"npz:{path}", validation=0, **options))


def steps(split, count, *args, **options):
    batches = split.train_batches(*args, **options).take(count).as_numpy_iterator()
    return [tuple(part.tolist() for part in batch) for batch in batches]


def test_training_sees_the_patch_of_every_place_and_nothing_else(path):
    patches = load(path, patch=SIZE)
    assert patches.image_shape == (SIZE, SIZE, 2)
    square = 10 * np.arange(SIZE)[:, None] + np.arange(SIZE)
    corners = {}
    for images, labels in patches.train.train_batches(6, seed=0).take(100).as_numpy_iterator():
        assert images.shape == (6, SIZE, SIZE, 2)
        assert images.dtype == np.uint8
        for image, label in zip(images, labels, strict=True):
            assert set(image[..., 1].flat) == {label}
            corner = int(image[0, 0, 0])
            np.testing.assert_array_equal(image[..., 0], corner + square)
            corners[corner] = corners.get(corner, 0) + 1
    assert set(corners) == {10 * row + column for row in range(3) for column in range(5)}
    assert 15 < min(corners.values()) and max(corners.values()) < 70  # 40 each, ± 4 deviations


def test_an_image_has_another_patch_in_the_next_epoch(path):
    patches = load(path, patch=SIZE).train
    epochs = [{}, {}]
    for step, (images, labels) in enumerate(steps(patches, 4, 6, seed=1)):
        epochs[step // 2].update(
            {n: image[0][0][0] for n, image in zip(labels, images, strict=True)}
        )
    assert epochs[0].keys() == epochs[1].keys()
    assert epochs[0] != epochs[1]


def test_evaluation_sees_the_middle_patch(path):
    whole, patches = load(path), load(path, patch=SIZE)
    (images, labels), *rest = patches.test.eval_batches(10).as_numpy_iterator()
    np.testing.assert_array_equal(images, whole.test.images[:, 1:4, 2:5])
    np.testing.assert_array_equal(labels, np.arange(4))
    assert not rest
    assert patches.validation is patches.test


@pytest.mark.parametrize("per_class", [0, 1])
def test_patches_of_a_step_depend_on_seed_and_step_only(path, per_class):
    patches = load(path, patch=SIZE).train
    options = {"seed": 3, "flips": True, "per_class": per_class}
    whole = steps(patches, 7, 4, **options)
    assert whole == steps(patches, 7, 4, **options)
    assert whole != steps(patches, 7, 4, **options | {"seed": 4})
    assert whole[5:] == steps(patches, 2, 4, start_step=5, **options)
    halves = [steps(patches, 7, 4, num_shards=2, shard_index=i, **options) for i in (0, 1)]
    for batch, *parts in zip(whole, *halves, strict=True):
        assert batch == tuple(sum(pieces, []) for pieces in zip(*parts, strict=True))


def test_patches_are_described_as_they_are_loaded(path):
    config = data.DataConfig(source=f"npz:{path}", patch=SIZE)
    assert data.describe(config) == data.load(config).info


@pytest.mark.parametrize(
    ("size", "words"), [(-1, "data.patch must be 0"), (6, "larger than the images"), (8, "5x7")]
)
def test_a_patch_larger_than_the_images_is_refused(path, size, words):
    for read in (data.load, data.describe):
        with pytest.raises(UserError, match=words):
            read(data.DataConfig(source=f"npz:{path}", patch=size))
