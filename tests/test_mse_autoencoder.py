"""The autoencoder that is trained for the squared error: the model and its training."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from scripts import ROOT

import gated_pixelcnn as gpc
from gated_pixelcnn.data.batches import ArraySplit
from gated_pixelcnn.evaluation import Images
from gated_pixelcnn.evaluation.reconstruction import Reconstruction, mean_image, squared_errors
from gated_pixelcnn.models.families.mse_autoencoder import MSEAutoencoder

SHAPE, LEVELS = (8, 8, 1), 16
NAMES = ["bag", "boot"]  # the classes of the images


def photos(num=11, shape=SHAPE, seed=0):
    return np.random.default_rng(seed).integers(0, LEVELS, (num, *shape)).astype(np.uint8)


def random_weights(model):
    """Weights with which conditions have an effect that is easy to see."""
    for index, weight in enumerate(model.trainable_variables):
        values = np.random.default_rng(index).normal(size=weight.shape)
        bias = len(weight.shape) == 1
        weight.assign(values * (0.1 if bias else 1.5 / np.sqrt(np.prod(weight.shape[:-1]))))
    return model


def write_source(directory):
    """An npz file of the photos and their classes."""
    path = directory / "photos.npz"
    images, labels = photos(), np.arange(11) % 2
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(path, class_names=np.array(NAMES), **arrays)
    return path


def small(shape=SHAPE, **arguments):
    keras.utils.set_random_seed(0)
    arguments = {"code_size": 3, "encoder_features": 4, "decoder_features": 5} | arguments
    model = MSEAutoencoder(shape, LEVELS, **arguments)
    model.build()
    return random_weights(model)


@pytest.fixture(scope="module", name="source")
def make_source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("data"))


# The model


def test_the_loss_is_the_mean_squared_difference_of_colours_from_0_to_1():
    model, images = small((5, 6, 3)), photos(4, (5, 6, 3))
    found = np.asarray(model.decode(model.encode(images)), np.float64)
    wanted = ((found - images / 15) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(model.training_loss(images, None, True), wanted, rtol=1e-5)
    assert not ((0 <= found) & (found <= 1)).all()


def test_reconstructions_are_the_nearest_levels_of_what_is_decoded():
    model, images = small(), photos(4)
    found = np.asarray(model.decode(model.encode(images))).clip(0, 1)
    reconstructions = model.reconstruct(images)
    assert reconstructions.dtype == np.uint8
    np.testing.assert_array_equal(reconstructions, np.rint(found * 15))
    with pytest.raises(ValueError, match="images must have the shape"):
        model.reconstruct(images[0])


@pytest.mark.parametrize(("batch_size", "num"), [(4, None), (20, None), (3, 5)])
def test_validation_is_the_error_of_all_images_whatever_the_batch(batch_size, num):
    model, images = small(), photos()
    split, mean = ArraySplit(images), images[:num].mean(axis=0) / 15
    scaled = images[:num] / 15
    wanted = ((np.asarray(model(images[:num])) - scaled) ** 2).mean()
    chosen, evaluator = Images(split, batch_size, num), Reconstruction()
    assert evaluator.loss(model, evaluator.evaluate(model, chosen)) == pytest.approx(
        wanted, rel=1e-5
    )
    np.testing.assert_allclose(mean_image(chosen, LEVELS), mean)
    errors = squared_errors(lambda _: mean, chosen, LEVELS)
    np.testing.assert_allclose(errors, ((mean - scaled) ** 2).mean(axis=(1, 2, 3)))


def test_a_reconstruction_that_is_no_number_is_no_error_of_a_size():
    def broken(images):
        found = np.zeros(images.shape)
        found[images == 7] = np.nan
        return found

    images = np.zeros((5, *SHAPE), np.uint8)
    images[3, 2, 2] = 7
    with pytest.raises(FloatingPointError, match="squared error of image 3 .counted from 0. is na"):
        squared_errors(broken, Images(ArraySplit(images), 2), LEVELS)


def test_the_code_is_all_that_the_decoder_knows_of_an_image():
    model, images = small(code_size=2), photos(4)
    codes = np.asarray(model.encode(images))
    assert codes.shape == (4, 2) and len(np.unique(codes, axis=0)) == 4
    np.testing.assert_allclose(np.clip(model.decode(codes), 0, 1), model(images), atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 4, 1), (9, 20, 3), (5, 7, 2)])
def test_images_of_any_shape_are_reconstructed(shape):
    assert small(shape).reconstruct(photos(2, shape)).shape == (2, *shape)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"code_size": 0}, "code_size must be at least 1, got 0"),
        ({"encoder_features": 0}, "encoder_features must be at least 1"),
        ({"decoder_features": 0}, "decoder_features must be at least 1, got 0"),
        ({"condition_size": 3}, "has no condition"),
    ],
)
def test_an_argument_out_of_its_range_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        MSEAutoencoder(SHAPE, **arguments)


def test_baselines_have_the_data_encoder_and_budget_of_their_autoencoders():
    for size in (10, 100):
        own = gpc.get_config(f"mse_autoencoder{size}")
        other = gpc.get_config(f"autoencoder{size}")
        assert own.model.family == "mse_autoencoder" and own.data == other.data
        assert own.model.code_size == other.model.code_size == size
        assert own.model.encoder_features == other.model.encoder_features
        reporting = {"samples", "sample_every"}
        assert {k for k in own.train if own.train[k] != other.train[k]} <= reporting


# Training


FEW = ["model.encoder_features=8", "model.decoder_features=8", "model.code_size=4"]
FEW += ["data.validation=0", "train.batch_size=8", "train.warmup_steps=0", "train.minutes=0"]


def trained(workdir, source, *changes):
    config = gpc.get_config("mse_autoencoder10", [*FEW, f"data.source=npz:{source}", *changes])
    return gpc.train(config, workdir)


def reports(workdir, name):
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [line[name] for line in lines if name in line]


def test_training_learns_a_few_images_and_the_run_gives_them_back(tmp_path):
    workdir, images = tmp_path / "run", photos(11, (2, 2, 1)).repeat(4, axis=1).repeat(4, axis=2)
    np.savez(tmp_path / "a.npz", x_train=images, x_test=images)
    changes = ["train.steps=300", "train.eval_every=100", "train.learning_rate=0.01"]
    result = trained(workdir, tmp_path / "a.npz", *changes)
    assert result.unit == "MSE"
    mean = ((images / 15 - images.mean(axis=0) / 15) ** 2).mean()
    found = ((np.asarray(gpc.load(workdir)(images)) - images / 15) ** 2).mean()
    assert found < mean / 20
    assert found == pytest.approx(result.best_loss, rel=1e-4)
    assert min(reports(workdir, "validation_mse")) == result.best_loss
    assert reports(workdir, "train_mse")[-1] < mean / 10
    difference = gpc.load(workdir).reconstruct(images).astype(int) - images
    assert (np.abs(difference) <= 1).mean() > 0.9


@pytest.mark.slow
def test_replicas_train_it_like_one_device(source, tmp_path):
    few = ["train.steps=4", "train.log_every=2", "train.eval_every=2"]
    trained(tmp_path / "one", source, *few)
    changes = [*FEW, *few, f"data.source=npz:{source}"]
    done = subprocess.run(
        [sys.executable, ROOT / "train.py", "--config=mse_autoencoder10"]
        + ["--strategy=mirrored", "--cpu_devices=2", f"--workdir={tmp_path / 'two'}"]
        + [f"--config.{change}" for change in changes],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    for name in ("train_mse", "validation_mse"):
        found = reports(tmp_path / "two", name)
        assert len(found) == 2
        np.testing.assert_allclose(found, reports(tmp_path / "one", name), rtol=1e-4)
