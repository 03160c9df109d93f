"""The probe of codes: a linear function and the nearest neighbour."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from families import TOKENIZER, build, images_of, randomise
from scripts import call

import gated_pixelcnn as gpc
from gated_pixelcnn.cli import evaluate
from gated_pixelcnn.data.batches import ArraySplit
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation.codes import Probe, codes, probe
from gated_pixelcnn.evaluation.images import Images

MANY = {"codes": 60, "code_features": 5}  # so many that all images differ
OPTIONS = {"vq_vae": MANY, "vq_prior": {"tokenizer": TOKENIZER | MANY}}
CODES = {"condition": "image", "code_size": 2, "encoder_features": 4}


def clusters(num, seed, turn=0.0):
    """Points around three corners of a triangle, and the number of the corner."""
    random = np.random.default_rng(seed)
    labels = np.arange(num) % 3
    angle = labels * 2 * np.pi / 3 + turn
    return np.stack([np.cos(angle), np.sin(angle)], 1) + 0.1 * random.normal(size=(num, 2)), labels


def test_what_a_linear_function_tells_is_told():
    known, asked = clusters(60, 0), clusters(30, 1)
    found = probe(known[0], asked[0], known[1], asked[1])
    assert found == {"linear": 1.0, "neighbour": 1.0}
    scaled = [x[0] * [1e4, 1e-4] + [7, 0] for x in (known, asked)]  # of any unit
    assert probe(*scaled, known[1], asked[1]) == found
    for num in (1, 100):  # more than there are points, too
        constant = [np.pad(x[0], ((0, 0), (0, num))) for x in (known, asked)]
        assert probe(*constant, known[1], asked[1]) == found


def test_weights_are_the_same_however_many_images_there_are():
    """Found by the smaller of two matrices."""
    random = np.random.default_rng(0)
    known, labels = random.normal(size=(20, 12)), np.arange(20) % 3
    asked = random.normal(size=(500, 12))
    wide = [np.pad(x, ((0, 0), (0, 30))) for x in (known, asked)]
    one, other = (probe(*x, labels, np.arange(500) % 3) for x in ((known, asked), wide))
    assert one["linear"] == other["linear"] < 0.5


def test_rings_are_told_by_neighbours_only_and_noise_by_nothing():
    random = np.random.default_rng(0)
    angle, labels = random.uniform(0, 2 * np.pi, 400), np.arange(400) % 2
    rings = (1 + labels)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = probe(rings[:300], rings[300:], labels[:300], labels[300:])
    assert found["neighbour"] > 0.95 and found["linear"] < 0.75
    noise = random.normal(size=(400, 5))
    found = probe(noise[:300], noise[300:], labels[:300], labels[300:])
    assert max(found.values()) < 0.65


@pytest.mark.parametrize("kind", ["image", "mse_autoencoder", "embedding", "vae", *OPTIONS])
def test_codes_of_every_kind_of_model_are_probed(kind):
    model = build(**CODES) if kind == "image" else build(kind, **OPTIONS.get(kind, {}))
    if kind in OPTIONS:
        model.build()
        randomise(model, 0)
    images = images_of(model, 30)
    images[::2] = images[::2] // 4  # dark ones and bright ones
    labels = np.arange(30) % 2
    split = ArraySplit(images, labels)
    assert Probe().applies_to(model)
    found = Probe().evaluate(model, Images(split, 7, train=split))["probe"]
    wanted = np.asarray(codes(model, images)).reshape(30, -1)
    assert (found["code_size"], found["num_train"]) == (wanted.shape[1], 30)
    assert found["codes"] == probe(*[wanted.astype(np.float64)] * 2, labels, labels)
    assert found["codes"]["neighbour"] == found["pixels"]["neighbour"] == 1.0  # themselves
    assert found["pixels"]["linear"] == 1.0


def test_models_without_codes_and_images_without_labels_are_refused(digits, monkeypatch):
    assert not Probe().applies_to(build())
    assert not Probe().applies_to(SimpleNamespace())
    with pytest.raises(UserError, match="--probe needs a model with codes: an autoencoder"):
        call(evaluate, monkeypatch, f"--workdir={digits}", "--probe")
    model = build(**CODES)
    split = ArraySplit(images_of(model, 4))
    with pytest.raises(ValueError, match="a probe needs images with labels"):
        Probe().evaluate(model, Images(split, train=split))


def test_the_script_tells_the_accuracies_beside_those_of_pixels(tmp_path, monkeypatch, capsys):
    overrides = ["model.features=4", "model.layers=2", "model.condition=image", "train.steps=2"]
    overrides += ["model.code_size=3", "model.encoder_features=4", "train.samples=0"]
    gpc.train(gpc.get_config("digits", overrides), tmp_path / "run")
    flags = [f"--workdir={tmp_path}/run", "--probe", "--num_images=50", "--nobaselines"]
    call(evaluate, monkeypatch, *flags)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3].split() == ["by", "code", "of", "3", "pixels"]
    call(evaluate, monkeypatch, *flags, "--json")
    found = json.loads(capsys.readouterr().out)["probe"]
    shown = [line.split()[-2:] for line in lines[-2:]]
    for row, key in zip(shown, ("linear", "neighbour"), strict=True):
        assert row == [f"{found[kind][key]:.1%}" for kind in ("codes", "pixels")]
    assert found["pixels"]["neighbour"] > 0.8
