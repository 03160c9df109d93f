"""Runs of VQ-VAE: training, resuming, and what the scripts do with a run."""

import json

import numpy as np
import pytest
from PIL import Image
from runs import assert_same_run, metrics
from scripts import call, read_npz

import gated_pixelcnn as gpc
from gated_pixelcnn.cli import evaluate, sample
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation.code_usage import CodeUsage

OVERRIDES = [
    "data.source=embedded:digits8",
    "data.levels=16",
    "model.features=6",
    "model.blocks=1",
    "model.block_features=4",
    "model.code_features=3",
    "model.codes=9",
    "model.restart_below=0.3",
    "train.batch_size=8",
    "train.steps=4",
    "train.log_every=2",
    "train.eval_every=2",
    "train.eval_images=10",
    "train.samples=4",
    "train.sample_every=4",
]


def config(*changes):
    return gpc.get_config("vqvae", [*OVERRIDES, *changes])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("vqvae")
    gpc.train(config(), workdir)
    return workdir


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "photos.npz"
    images = np.random.default_rng(0).integers(0, 16, (3, 8, 8, 1)).astype(np.uint8)
    np.savez(path, images=images, levels=16)
    return path, images


def test_a_run_tells_how_codes_are_used(run):
    reports = [line for line in metrics(run) if "validation_bits_per_dim" in line]
    assert [line["step"] for line in reports] == [2, 4]
    names = {f"validation_{name}" for name in CodeUsage.scalars}
    assert all(names < line.keys() for line in reports)
    assert any("train_objective" in line for line in metrics(run))
    assert (run / "samples" / "step-000000004.png").exists()


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(run, tmp_path):
    for steps in (2, 4):
        gpc.train(config(f"train.steps={steps}", "train.samples=0"), tmp_path)
    assert_same_run(tmp_path, run)


def test_a_keras_file_and_an_export_are_the_same_model(run, tmp_path):
    model = gpc.load(run)
    images = np.random.default_rng(1).integers(0, 16, (5, 8, 8, 1)).astype(np.uint8)
    model.save(tmp_path / "model.keras")
    again = gpc.load(tmp_path / "model.keras")
    assert again.fingerprint() == model.fingerprint()
    np.testing.assert_array_equal(again.encode(images), model.encode(images))
    exported = gpc.load_saved_model(gpc.export(run, tmp_path / "export"))
    assert tuple(exported.terms) == model.terms and exported.is_lower_bound
    np.testing.assert_allclose(
        exported.log_prob_terms(images), model.log_prob_terms(images), rtol=1e-5
    )
    np.testing.assert_array_equal(exported.sample(3, seed=4), model.sample(3, seed=4, jit=False))


def test_evaluate_tells_the_terms_and_how_codes_are_used(run, monkeypatch, capsys):
    arguments = [f"--workdir={run}", "--num_images=6"]
    call(evaluate, monkeypatch, *arguments, "--json")
    result = json.loads(capsys.readouterr().out)
    assert result["is_lower_bound"]
    assert sum(result["terms"].values()) == pytest.approx(result["bits_per_dim"])
    assert result["terms"]["codes"] == pytest.approx(4 * np.log2(9) / 64)
    assert result["details"].keys() == CodeUsage.scalars.keys()
    call(evaluate, monkeypatch, *arguments)
    table = capsys.readouterr().out
    for name in ("image given codes", "at most", "share of codes used", "perplexity of codes"):
        assert name in table


def test_reconstructions_stand_beside_their_images(run, photos, tmp_path, monkeypatch):
    path, images = photos
    arguments = [f"--workdir={run}", f"--npz={tmp_path}/a.npz", f"--output={tmp_path}/a.png"]
    call(sample, monkeypatch, *arguments, f"--reconstruct={path}", "--num=6", "--nojit")
    model, arrays = gpc.load(run), read_npz(tmp_path / "a.npz")
    codes = model.encode(images).numpy()
    np.testing.assert_array_equal(arrays["originals"], images)
    np.testing.assert_array_equal(arrays["decoded_9"], model.decode(codes))
    drawn = model.sample_stages(stage=codes[np.arange(6) % 3], jit=False)[-1]
    np.testing.assert_array_equal(arrays["image_9"], drawn)
    width, height = Image.open(tmp_path / "a.png").size
    assert width > height  # image, decoded and two drawn ones; three rows


def test_a_second_run_of_as_many_codes_and_one_without_codes_are_refused(
    run, digits, photos, monkeypatch
):
    arguments = [f"--workdir={run}", f"--reconstruct={photos[0]}"]
    with pytest.raises(UserError, match="a run with 9 codes .* is there already"):
        call(sample, monkeypatch, *arguments, f"--beside={run}")
    with pytest.raises(UserError, match=f"--beside={digits}: this model has no codebook"):
        call(sample, monkeypatch, *arguments, f"--beside={digits}")


def test_images_that_cannot_be_halved_are_refused_before_training(tmp_path):
    with pytest.raises(UserError, match="images of 8x8 .* cannot be halved 4 times"):
        gpc.train(config("model.halvings=4"), tmp_path)
