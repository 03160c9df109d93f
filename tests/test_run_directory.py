"""The work directory of a run: which configurations and which contents are refused."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from runs import config, final_arrays

import gated_pixelcnn as gpc
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.runs import checkpoints
from gated_pixelcnn.runs.directory import RunDirectory


def test_another_configuration_is_refused_with_the_differences(tmp_path, whole):
    before = {p: p.read_bytes() for p in whole.rglob("*") if p.is_file()}
    with pytest.raises(UserError) as error:
        gpc.train(config("model.features=8", "train.learning_rate=0.5"), whole)
    assert "model.features: 4 in the run, 8 now" in str(error.value)
    assert "train.learning_rate: 0.003 in the run, 0.5 now" in str(error.value)
    assert {p: p.read_bytes() for p in whole.rglob("*") if p.is_file()} == before


def test_a_run_whose_images_changed_is_refused(tmp_path):
    random = np.random.default_rng(0)

    def run(count):
        images = random.integers(0, 16, (count, 8, 8, 1)).astype(np.uint8)
        np.savez(tmp_path / "data.npz", x_train=images, y_train=np.arange(count) % 10)
        gpc.train(config(f"data.source=npz:{tmp_path / 'data.npz'}"), tmp_path / "run")

    run(32)
    with pytest.raises(UserError, match="fingerprint: .*train=32.* in the run, .*train=33.* now"):
        run(33)


def test_a_finished_run_is_left_as_it_is_and_can_be_lengthened(tmp_path):
    gpc.train(config("train.steps=2"), tmp_path)
    first = final_arrays(tmp_path)
    assert gpc.train(config("train.steps=2"), tmp_path).step == 2
    assert first.keys() == final_arrays(tmp_path).keys()
    assert gpc.train(config("train.steps=3", "train.keep=1"), tmp_path).step == 3
    assert checkpoints.Checkpoints(tmp_path / "checkpoints").steps() == [3]


def test_two_runs_in_one_work_directory_are_refused(tmp_path):
    with RunDirectory(tmp_path):
        with pytest.raises(UserError, match="another process is training"):
            gpc.train(config(), tmp_path)


def test_an_unwritable_work_directory_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to the work directory"):
        gpc.train(config(), tmp_path / "file" / "run")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not the work directory of a run"),
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"format": 99}', "has format 99"),
        ("{}", "is damaged .format is missing"),
        ('{"format": 3, "config": {}}', "is damaged .seed is missing"),
    ],
)
def test_a_directory_that_holds_no_run_cannot_be_loaded(tmp_path, content, message):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=message):
        gpc.load(tmp_path)


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        (
            "config",
            "model",
            {},
            "is damaged .data.source is missing|is damaged .model.family is miss",
        ),
        ("config", "data", {}, "is damaged .data.source is missing"),
        ("model", "family", None, "is damaged .model.family is None"),
        ("model", "family", "other", "is damaged .model.family is 'other'"),
        ("model", "features", "4", "is damaged .model.features must be of type int"),
        ("model", "featurs", 4, "is damaged .there is no configuration key 'model.featurs'"),
        (None, "image_shape", [8, 8], "is damaged .image_shape, levels"),
        (None, "levels", None, "is damaged .image_shape, levels"),
        (None, "class_names", 3, "is damaged"),
    ],
)
def test_an_edited_configuration_of_a_run_is_called_damaged(
    tmp_path, whole, section, key, value, message
):
    record = json.loads((whole / "config.json").read_text())
    part = {None: record, "config": record["config"], "model": record["config"]["model"]}[section]
    part[key] = value
    (tmp_path / "config.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match=message):
        gpc.load(tmp_path)


def test_a_key_that_is_later_than_the_run_has_its_default(tmp_path, whole):
    record = json.loads((whole / "config.json").read_text())
    del record["config"]["model"]["skips"]
    (tmp_path / "config.json").write_text(json.dumps(record))
    assert RunDirectory(tmp_path).read_config()["config"] == config("train.samples=4")


def test_the_best_model_of_another_run_is_never_that_of_a_new_one(tmp_path, whole):
    (tmp_path / "checkpoints").mkdir()
    for name in ("config.json", "checkpoints/best.npz"):  # killed before the first save
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    with pytest.raises(UserError, match="model.features: 4 in the run, 8 now"):
        gpc.train(config("model.features=8"), tmp_path)
    gpc.train(config("train.steps=1", "train.eval_every=5", "train.samples=0"), tmp_path)
    assert not (tmp_path / "checkpoints" / "best.npz").exists()


def test_the_best_weights_of_a_run_that_starts_anew_are_kept(tmp_path, whole, capsys):
    (tmp_path / "checkpoints").mkdir()
    for name in ("config.json", "checkpoints/best.npz"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    gpc.train(config("train.steps=1", "train.eval_every=5", "train.samples=0"), tmp_path)
    kept = tmp_path / "checkpoints" / "best.before"
    assert kept.read_bytes() == (whole / "checkpoints" / "best.npz").read_bytes()
    assert f"the run starts anew; its best weights are now {kept}" in capsys.readouterr().err


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_one_sentence(tmp_path, seed):
    with pytest.raises(UserError, match="seed must be between 0 and"):
        gpc.train(config(f"seed={seed}"), tmp_path)


def test_a_run_without_a_checkpoint_cannot_be_loaded(tmp_path, whole):
    (tmp_path / "config.json").write_bytes((whole / "config.json").read_bytes())
    with pytest.raises(UserError, match="no checkpoint yet"):
        gpc.load(tmp_path)


def test_a_checkpoint_of_another_model_cannot_be_loaded(tmp_path, whole):
    (tmp_path / "checkpoints").mkdir()
    for name in ("config.json", "checkpoints/best.npz"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace('"features": 4', '"features": 8'))
    with pytest.raises(UserError, match="checkpoints/best.npz is of another model"):
        gpc.load(tmp_path)


def test_loading_draws_no_initial_weights(whole, monkeypatch):
    normal, eager = keras.initializers.RandomNormal.__call__, []

    def counted(self, *arguments, **more):
        eager.append(tf.executing_eagerly())
        return normal(self, *arguments, **more)

    monkeypatch.setattr(keras.initializers.RandomNormal, "__call__", counted)
    gpc.load(whole)
    assert eager and not any(eager)  # their shapes are asked for, in a graph that never runs
