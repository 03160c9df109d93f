"""What goes wrong in a training: divergence, full disks, images that cannot be read."""

import os

import numpy as np
import pytest
import tensorflow as tf
from runs import assert_same_run, at_step, config, final_arrays, metrics

import gated_pixelcnn as gpc
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation import BitsPerDim
from gated_pixelcnn.runs import checkpoints
from gated_pixelcnn.runs.directory import RunDirectory
from gated_pixelcnn.training.loop import Loop
from gated_pixelcnn.training.state import Diverged, TrainState


def test_a_diverged_run_stops_with_its_step_and_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    make_step = TrainState.make_step

    def spoiled(self, batch):
        if self.step == 4:
            weight = self.model.trainable_variables[0]
            weight.assign(np.full(weight.shape, np.nan))
        return make_step(self, batch)

    monkeypatch.setattr(TrainState, "make_step", spoiled)
    with pytest.raises(UserError, match="step 5 is not finite.*checkpoint of step 2 is kept"):
        gpc.train(config(), tmp_path)
    arrays = final_arrays(tmp_path)
    assert checkpoints.Checkpoints(tmp_path / "checkpoints").steps() == [2]
    assert (tmp_path / "checkpoints" / "step-000000004.diverged").exists()
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_a_diverged_run_goes_on_with_a_lower_learning_rate_if_that_is_allowed(tmp_path):
    changes = ["train.steps=8", "train.schedule=constant", "train.warmup_steps=0"]
    gpc.train(config(*changes, "train.steps=4"), tmp_path)
    wild = config(*changes, "train.learning_rate=1e30", "train.clip_norm=0")
    with pytest.raises(UserError, match="learning_rate: .* give --allow_changes to go on"):
        gpc.train(wild, tmp_path)
    with pytest.raises(UserError, match="step [67] is not finite.*step 4 is kept.*--allow_changes"):
        gpc.train(wild, tmp_path, allow_changes=True)
    assert gpc.load(tmp_path, "latest") is not None

    lower = config(*changes, "train.learning_rate=1e-5")
    result = gpc.train(lower, tmp_path, allow_changes=True)
    assert (result.step, result.stopped_by) == (8, "steps")
    assert metrics(tmp_path)[-2]["train_learning_rate"] == pytest.approx(1e-5)

    # Only how it learns may change, not what.
    with pytest.raises(UserError, match="train.batch_size: 16 in the run, 8 now"):
        gpc.train(config(*changes, "train.batch_size=8"), tmp_path, allow_changes=True)


def test_the_best_checkpoint_of_a_branch_that_was_left_keeps_its_own_figure(tmp_path):
    changes = ["train.schedule=constant", "train.eval_every=1", "train.keep=9"]
    gpc.train(config(*changes), tmp_path)
    best = checkpoints.Checkpoints(tmp_path / "checkpoints").best().meta
    for step in (4, 6):
        (tmp_path / "checkpoints" / f"step-{step:09d}.npz").unlink()
    worse = config(*changes, "train.learning_rate=1e-30")
    result = gpc.train(worse, tmp_path, allow_changes=True)
    assert best["step"] > 2
    assert (result.best_step, result.best_loss) == (best["step"], best["loss"])


def test_how_a_step_is_computed_may_change_on_the_way(tmp_path, whole):
    gpc.train(config("train.steps=4"), tmp_path)
    gpc.train(config("train.remat=true", "train.accumulation=2", "train.jit=on"), tmp_path)
    found, wanted = final_arrays(tmp_path), final_arrays(whole)
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    "precision", [pytest.param("mixed_bfloat16", marks=pytest.mark.slow), "mixed_float16"]
)
def test_a_run_in_half_precision_is_stopped_resumed_and_loaded(tmp_path, whole, precision):
    changes = [f"train.precision={precision}"]
    gpc.train(config(*changes), tmp_path / "whole")
    gpc.train(config(*changes, "train.steps=4"), tmp_path / "part")
    gpc.train(config(*changes), tmp_path / "part")
    found, wanted = final_arrays(tmp_path / "part"), final_arrays(tmp_path / "whole")
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)
    name = "weights/block_0/row_conv/kernel"
    assert not np.array_equal(found[name], final_arrays(whole)[name])
    assert gpc.load(tmp_path / "part").compute_dtype == "float32"
    reported = [line for line in metrics(tmp_path / "part") if "train_loss_scale" in line]
    assert bool(reported) == (precision == "mixed_float16")


@pytest.mark.parametrize("wrong", [None, "digits", {"seed": 0}])
def test_a_configuration_of_another_kind_is_one_sentence(tmp_path, wrong):
    with pytest.raises(UserError, match="config must be a ConfigDict, as get_config gives it, got"):
        gpc.train(wrong, tmp_path)


def test_a_batch_that_cannot_be_cut_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="16.*by 1 replicas of 3 parts.*choose a multiple of 3"):
        gpc.train(config("train.accumulation=3"), tmp_path)


def test_determinism_is_asked_of_tensorflow(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: asked.append(True))
    gpc.train(config("train.deterministic=true", "train.steps=1"), tmp_path / "yes")
    gpc.train(config("train.steps=1"), tmp_path / "no")
    assert asked == [True]


def test_a_validation_that_is_not_finite_stops_the_run(tmp_path, monkeypatch):
    class Poisoned:
        def __init__(self, variable):
            self.read_value = lambda: np.full(variable.shape, np.nan)

    averaged_weights = TrainState.averaged_weights

    def poisoned(self):
        self.average.variables = [Poisoned(v) for v in self.average.variables]
        return averaged_weights(self)

    monkeypatch.setattr(TrainState, "averaged_weights", poisoned)
    with pytest.raises(UserError, match="validation after step .*image 0"):
        gpc.train(config(), tmp_path)


def test_a_disk_that_fills_up_keeps_the_checkpoint_before_and_the_run_can_go_on(
    tmp_path, whole, monkeypatch
):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        at_step(patch, 4, lambda: patch.setattr(checkpoints.np, "savez", full))
        with pytest.raises(UserError, match="No space left on device"):
            gpc.train(config(), tmp_path)
    assert checkpoints.Checkpoints(tmp_path / "checkpoints").steps() == [2]
    gpc.train(config(), tmp_path)
    assert_same_run(tmp_path, whole)


def test_a_full_disk_leaves_no_half_written_configuration(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    (tmp_path / "config.tmp").symlink_to("/dev/full")
    with pytest.raises(UserError, match="config.json .No space left on device"):
        RunDirectory(tmp_path).write_config({})
    assert list(tmp_path.iterdir()) == []


def test_clipping_is_only_to_be_lowered_where_there_is_some(tmp_path, monkeypatch):
    def diverges(self, batch):
        raise Diverged("step 1")

    monkeypatch.setattr(TrainState, "make_step", diverges)
    for clip_norm, advice in ((0.0, "lower train.learning_rate, or"), (1.0, "or train.clip_norm")):
        with pytest.raises(UserError, match=advice):
            gpc.train(config(f"train.clip_norm={clip_norm}"), tmp_path)


def test_images_that_cannot_be_read_end_a_run_with_its_steps_saved(tmp_path, whole, monkeypatch):
    batches = Loop._batches

    def truncated(self):
        source = batches(self)
        yield next(source)
        raise tf.errors.UnknownError(None, None, "UserError: image file 7.png cannot be read")

    def unreadable(*_, **__):
        raise UserError("image file 8.png cannot be read")

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_batches", truncated)
        with pytest.raises(UserError, match="^image file 7.png cannot be read; saved at step 1"):
            gpc.train(config(), tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(BitsPerDim, "evaluate", unreadable)
        with pytest.raises(UserError, match="^image file 8.png cannot be read; saved at step 3"):
            gpc.train(config(), tmp_path)
    gpc.train(config(), tmp_path)
    assert_same_run(tmp_path, whole)
