import io
import math
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from gated_pixelcnn import evaluation
from gated_pixelcnn.data.batches import ArraySplit
from gated_pixelcnn.evaluation import BitsPerDim, Images, MismatchedCondition, baselines
from gated_pixelcnn.evaluation.classification import classify
from gated_pixelcnn.models.density_model import DensityModel
from gated_pixelcnn.models.families.embedding import Embedding
from gated_pixelcnn.spec import ImageSpec, bits_per_dim, condition_spec

BITS = BitsPerDim()


class TableModel(DensityModel):
    """Independent values: a table of probabilities for each label, position and colour."""

    def __init__(self, image_shape=(3, 5, 2), levels=4, classes=0, seed=0):
        self.image_spec = ImageSpec(image_shape, levels)
        self.condition_spec = condition_spec("label" if classes else None, classes, self.image_spec)
        table = np.random.default_rng(seed).random((max(classes, 1), *image_shape, levels)) + 0.1
        self.table = np.log(table / table.sum(axis=-1, keepdims=True)).astype(np.float32)
        self.batch_shapes = []

    def value_log_prob(self, images, condition=None):
        self.batch_shapes.append(images.shape)
        labels = np.zeros(len(images), int) if condition is None else condition
        return np.take_along_axis(self.table[labels], images[..., None].astype(int), -1)[..., 0]

    def log_prob_terms(self, images, condition=None):
        return self.value_log_prob(images, condition).sum(axis=(1, 2), dtype=np.float64)


def random_images(num=10, image_shape=(3, 5, 2), levels=4, seed=1):
    return np.random.default_rng(seed).integers(0, levels, (num, *image_shape)).astype(np.uint8)


def test_uniform_model_needs_log2_levels_bits():
    model = TableModel(levels=256)
    model.table[:] = -math.log(256)
    result = evaluation.evaluate(model, random_images(levels=256))
    np.testing.assert_allclose(result["bits_per_dim"], 8, rtol=1e-7)
    np.testing.assert_allclose(result["nats"], 30 * 8 * math.log(2), rtol=1e-7)
    assert bits_per_dim(30 * 8 * math.log(2), model.image_shape) == 8


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 9, 10, 11, 64])
@pytest.mark.parametrize("classes", [0, 3])
def test_result_does_not_depend_on_batch_size(batch_size, classes):
    model, images = TableModel(classes=classes), random_images()
    labels = np.arange(10) % 3 if classes else None
    exact = model.value_log_prob(images, labels).astype(np.float64)
    bits = -exact.sum(axis=(1, 2, 3)) / math.log(2) / 30
    model.batch_shapes.clear()
    result = evaluation.evaluate(model, images, labels, batch_size=batch_size)

    np.testing.assert_allclose(result["bits_per_dim"], bits.mean(), rtol=1e-12)
    np.testing.assert_allclose(
        result["standard_error"], bits.std(ddof=1) / math.sqrt(10), rtol=1e-12
    )
    np.testing.assert_allclose(result["nats"], -exact.sum() / 10, rtol=1e-12)
    np.testing.assert_allclose(result["log_probs"], exact.sum(axis=(1, 2, 3)), rtol=1e-12)
    channels = -exact.mean(axis=(0, 1, 2)) / math.log(2)
    np.testing.assert_allclose(result["bits_per_channel"], channels, rtol=1e-12)
    assert result["num_images"] == 10
    assert len(model.batch_shapes) == math.ceil(10 / batch_size), "one forward pass per batch"
    assert len(set(model.batch_shapes)) == 1, "the last batch must not be traced again"


def test_sums_are_in_float64():
    model = TableModel(image_shape=(64, 64, 3), levels=2)
    images = random_images(3, model.image_shape, 2)
    model.table[..., :] = -1e-4
    model.table[:, 0, 0, 0, :] = -1e4
    exact = -np.float64(np.float32(-1e4)) - np.float64(np.float32(-1e-4)) * (64 * 64 * 3 - 1)
    np.testing.assert_allclose(evaluation.evaluate(model, images)["nats"], exact, rtol=1e-13)


@pytest.mark.parametrize("value", [math.nan, -math.inf, math.inf])
@pytest.mark.parametrize("index", [0, 6, 9])
def test_value_that_is_not_finite_is_an_error_that_names_the_image(value, index):
    model, images = TableModel(), random_images()
    images[:, 1, 2, 1] = 0
    images[index, 1, 2, 1] = 3
    model.table[:, 1, 2, 1, 3] = value
    with pytest.raises(FloatingPointError, match=f"image {index} "):
        evaluation.evaluate(model, images, batch_size=4)


def test_one_image_has_no_standard_error():
    result = evaluation.evaluate(TableModel(), random_images(1))
    assert result["standard_error"] is None
    assert result["num_images"] == 1


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("num_images", [None, 1, 4, 7, 10, 99])
def test_score_of_a_split_is_evaluate_of_its_arrays(classes, num_images):
    model, images, labels = TableModel(classes=classes), random_images(), np.arange(10) % 3
    split = ArraySplit(images, labels)
    scored = BITS.evaluate(model, Images(split, 4, num_images))
    expected = evaluation.evaluate(
        model, images[:num_images], labels[:num_images] if classes else None
    )
    np.testing.assert_allclose(scored.pop("log_probs"), expected.pop("log_probs"), rtol=1e-12)
    for key in ("bits_per_dim", "nats", "num_images", "bits_per_channel"):
        np.testing.assert_allclose(scored[key], expected[key], rtol=1e-12)


def test_score_of_an_unlabelled_split():
    split = ArraySplit(random_images())
    assert BITS.evaluate(TableModel(), Images(split, 4))["num_images"] == 10
    with pytest.raises(ValueError, match="have no labels"):
        BITS.evaluate(TableModel(classes=3), Images(split, 4))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"images": random_images(0)}, "no images"),
        ({"images": random_images(), "batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"images": random_images(), "condition": np.zeros(9, int)}, "each of the 10 images"),
    ],
)
def test_arguments_that_do_not_fit_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluation.evaluate(TableModel(classes=3), **arguments)


# Baselines.


def test_histogram_is_the_smoothed_frequency_at_each_position():
    train, test = random_images(20, (2, 3, 2), seed=2), random_images(5, (2, 3, 2), seed=3)
    bits = 0.0
    for image in test:
        for position in np.ndindex(2, 3, 2):
            seen = (train[(slice(None), *position)] == image[position]).sum()
            bits -= math.log2((seen + 0.5) / (20 + 0.5 * 4))
    found = baselines.baselines(
        [train[:13], train[13:]], [test[:2], test[2:]], ImageSpec((2, 3, 2), 4)
    )
    np.testing.assert_allclose(found["histogram"], bits / (5 * 12), rtol=1e-12)
    wanted = {"uniform", "histogram", "gaussian"}
    assert set(found) == wanted, "PNG and WebP have no images of 2 channels"


def test_gaussian_is_the_code_length_of_images_with_noise_by_their_mean_and_covariance():
    random = np.random.default_rng(0)
    train = np.cumsum(random.integers(0, 4, (40, 1, 3, 1)), axis=2).astype(np.uint8)
    test = np.cumsum(random.integers(0, 4, (5, 1, 3, 1)), axis=2).astype(np.uint8)
    x = train.reshape(-1, 3)
    mean, covariance = x.mean(axis=0), np.cov(x.T, bias=True) + np.eye(3) / 12
    noisy = test.reshape(-1, 1, 3) + random.uniform(-0.5, 0.5, (5, 200_000, 3)) - mean
    squares = np.einsum("nki,ij,nkj->nk", noisy, np.linalg.inv(covariance), noisy)
    nats = squares / 2 + np.linalg.slogdet(2 * np.pi * covariance)[1] / 2
    found = baselines.baselines(
        [train[:25], train[25:]], [test[:2], test[2:]], ImageSpec((1, 3, 1), 16)
    )
    assert found["gaussian"] == pytest.approx(nats.mean() / np.log(2) / 3, rel=1e-3)


def test_images_too_large_for_a_matrix_of_their_values_have_no_gaussian(monkeypatch):
    images = np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1)
    assert "gaussian" in baselines.baselines([images], [images], ImageSpec((2, 2, 1), 8))
    monkeypatch.setattr(baselines, "MOST_GAUSSIAN", 3)
    assert "gaussian" not in baselines.baselines([images], [images], ImageSpec((2, 2, 1), 8))


def test_histogram_is_a_distribution_and_finite_for_values_never_seen():
    train = np.full((9, 1, 1, 1), 3, np.uint8)
    bits = [
        baselines.baselines([train], [np.full((1, 1, 1, 1), v, np.uint8)], ImageSpec((1, 1, 1), 5))[
            "histogram"
        ]
        for v in range(5)
    ]
    np.testing.assert_allclose(np.exp2(-np.array(bits)).sum(), 1, rtol=1e-12)


def test_frequencies_of_many_levels_take_the_memory_of_their_table_only():
    images = np.random.default_rng(0).integers(0, 2**16, (4, 8, 8, 1)).astype(np.uint16)
    tracemalloc.start()
    baselines.baselines([images], [images], ImageSpec((8, 8, 1), 2**16, "categorical"))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    tables = (8 * 8 + 1) * 2**16 * 8  # at every place, and at all
    assert most < 1.1 * tables


def test_no_training_images_means_no_histogram():
    images = random_images(4, (4, 4, 1), 16)
    found = baselines.baselines([], [images], ImageSpec((4, 4, 1), 16))
    assert set(found) == {"uniform", "png", "webp"}
    assert found["uniform"] == 4


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("levels", [2, 3, 4, 5, 16, 17, 256])
def test_files_are_lossless(channels, levels):
    image = random_images(1, (7, 5, channels), levels)[0]
    png = Image.open(io.BytesIO(baselines.png_bytes(image, levels)))
    webp = Image.open(io.BytesIO(baselines.webp_bytes(image)))
    np.testing.assert_array_equal(np.asarray(png).reshape(image.shape), image)
    np.testing.assert_array_equal(np.asarray(webp)[..., :channels], image)


@pytest.mark.parametrize("levels, bits", [(2, 1), (256, 8)])
def test_png_of_noise_takes_the_bits_of_its_levels(levels, bits):
    image = random_images(1, (64, 64, 1), levels)[0]
    size = len(baselines.png_bytes(image, levels))
    assert bits * 512 < size < bits * 512 + 200


def test_png_of_two_levels_is_stored_in_one_bit():
    binary, gray = (baselines.png_bytes(np.zeros((8, 8, 1), np.uint8), n) for n in (2, 256))
    assert (binary[24], gray[24]) == (1, 8)  # The bit depth in the header of a PNG.


def test_file_baselines_are_mean_bytes_in_bits_per_dim():
    images = random_images(5, (9, 7, 3), 256)
    found = baselines.baselines([images], [images[:2], images[2:]], ImageSpec((9, 7, 3), 256))
    png = sum(len(baselines.png_bytes(image)) for image in images)
    webp = sum(len(baselines.webp_bytes(image)) for image in images)
    np.testing.assert_allclose(found["png"], png * 8 / images.size, rtol=1e-12)
    np.testing.assert_allclose(found["webp"], webp * 8 / images.size, rtol=1e-12)


def labelled_split(images, labels):
    return ArraySplit(images, labels)


@pytest.mark.parametrize("batch_size", [3, 10])
def test_images_are_classified_by_the_label_that_makes_them_most_probable(batch_size):
    model, images = TableModel(classes=3), random_images()
    labels = np.arange(10) % 3
    result = classify(model, Images(labelled_split(images, labels), batch_size))
    every = np.stack([model.value_log_prob(images, np.full(10, k)) for k in range(3)], axis=1)
    every = every.sum(axis=(2, 3, 4), dtype=np.float64)
    np.testing.assert_allclose(result["label_log_probs"], every, rtol=1e-6)
    assert result["accuracy"] == np.mean(every.argmax(axis=1) == labels)


def test_wrong_labels_are_all_wrong_and_equally_frequent():
    labels = np.arange(60) % 3
    spec = condition_spec("label", 5, ImageSpec((1, 1, 1), 2))
    wrong = [spec.mismatched(labels[i : i + 7], i, None) for i in range(0, 60, 7)]
    wrong = np.concatenate(wrong)
    assert (wrong != labels).all()
    assert np.bincount((wrong - labels) % 5).tolist() == [0, 15, 15, 15, 15]


@pytest.mark.parametrize("batch_size", [1, 4, 5, 11, 64])
def test_the_other_image_is_half_the_images_away_whatever_the_batch(batch_size):
    given = []

    class Copies(TableModel):
        def __init__(self):
            super().__init__()
            self.condition_spec = condition_spec("image", 2, self.image_spec)

        def log_prob_terms(self, images, condition):
            given.extend(zip(images[:, 0, 0, 0], condition[:, 0, 0, 0], strict=True))
            return np.zeros((len(images), 2))

    images = np.zeros((12, 3, 5, 2), np.uint8)
    images[:, 0, 0, 0] = np.arange(12)
    split = labelled_split(images, np.arange(12))
    MismatchedCondition().evaluate(Copies(), Images(split, batch_size, 11))
    assert sorted(set(given)) == [(i, (i + 5) % 11) for i in range(11)]


def test_an_image_is_not_classified_by_labels_that_give_it_no_probability():
    model = TableModel(classes=3)
    images = model.table.argmax(axis=-1).astype(np.uint8)
    model.table[1, 0] = np.nan  # wrong labels for the first and the third image
    with pytest.raises(FloatingPointError, match="image 0 .counted from 0. is nan"):
        classify(model, Images(labelled_split(images, np.arange(3)), 2))


def test_what_gives_images_no_probability_is_not_evaluated():
    with pytest.raises(ValueError, match="Embedding gives images no probability"):
        evaluation.evaluate(Embedding((4, 4, 1), code_size=2, encoder_features=2), random_images())


def test_a_model_that_uses_the_label_predicts_worse_with_a_wrong_one():
    model = TableModel(classes=3)
    model.table = model.table * 3  # not normalised: all that matters is which label is better
    images = model.table.argmax(axis=-1).astype(np.uint8)
    chosen = Images(labelled_split(images, np.arange(3)))
    right = BITS.evaluate(model, chosen)["bits_per_dim"]
    wrong = MismatchedCondition().evaluate(model, chosen)
    assert wrong["condition"] == "label" and wrong["wrong_condition_bits_per_dim"] > right + 0.5
    assert classify(model, chosen)["accuracy"] == 1
