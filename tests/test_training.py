"""Runs of the training loop: what they leave, how they stop and how they go on."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import gated_pixelcnn as gpc
from gated_pixelcnn import data, evaluation
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.training import checkpoints, loop
from gated_pixelcnn.training.interrupts import Stopped, StopRequests
from gated_pixelcnn.training.loop import Loop
from gated_pixelcnn.training.monitoring import Monitor
from gated_pixelcnn.training.run_directory import RunDirectory
from gated_pixelcnn.training.state import Diverged, TrainState

ROOT = Path(__file__).parent.parent
OVERRIDES = [
    "model.features=4",
    "model.layers=2",
    "model.first_kernel_size=3",
    "train.batch_size=16",
    "train.steps=6",
    "train.warmup_steps=4",
    "train.log_every=4",
    "train.eval_every=3",
    "train.eval_images=40",
    "train.save_every=2",
    "train.keep=2",
    "train.sample_every=3",
    "train.samples=4",
]


def config(*overrides):
    return gpc.get_config("digits", [*OVERRIDES, *overrides])


def final_arrays(workdir):
    return checkpoints.Checkpoints(workdir / "checkpoints").latest()[0]


def metrics(workdir):
    """The reports without what depends on the clock."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "train_images_per_second"} for line in lines]


def assert_same_run(workdir, expected):
    found, wanted = final_arrays(workdir), final_arrays(expected)
    assert found.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)
    assert metrics(workdir) == metrics(expected)


def at_step(monkeypatch, step, action):
    """Does something right after a step was made."""
    make_step = TrainState.make_step

    def patched(self, batch):
        result = make_step(self, batch)
        if self.step == step:
            action()
        return result

    monkeypatch.setattr(TrainState, "make_step", patched)


def steps_made(monkeypatch):
    """A list to which the number of every step is added."""
    steps, make_step = [], TrainState.make_step

    def patched(self, batch):
        steps.append(self.step)
        return make_step(self, batch)

    monkeypatch.setattr(TrainState, "make_step", patched)
    return steps


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The work directory of a run of 6 steps that was not stopped."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    result = gpc.train(config(), workdir)
    assert (result.step, result.stopped_by) == (6, "steps")
    return workdir


# What a run leaves


def test_a_run_leaves_what_is_needed_to_use_it_and_to_go_on(whole):
    names = sorted(str(p.relative_to(whole)) for p in whole.rglob("*") if p.is_file())
    events = [name for name in names if name.startswith("tensorboard/events.out")]
    assert len(events) == 1
    assert [name for name in names if name not in events] == [
        "checkpoints/best.npz",
        "checkpoints/step-000000004.npz",
        "checkpoints/step-000000006.npz",
        "config.json",
        "lock",
        "metrics.jsonl",
        "samples/step-000000003.png",
        "samples/step-000000006.png",
    ]


def test_reports_are_due_at_their_steps(whole):
    kinds = [(line["step"], sorted(line)[-1]) for line in metrics(whole)]
    training, validation = "train_learning_rate", "validation_bits_per_dim"
    assert kinds == [(3, validation), (4, training), (6, validation), (6, training)]


def test_the_reported_learning_rate_is_that_of_the_step(whole):
    [report] = [line for line in metrics(whole) if line["step"] == 4 and len(line) > 2]
    assert report["train_learning_rate"] == pytest.approx(0.003)  # the last of 4 of the warm-up
    [report] = [line for line in metrics(whole) if line["step"] == 6 and len(line) > 2]
    assert report["train_learning_rate"] == pytest.approx(0.003 * 0.5)  # half of the cosine


def test_a_run_begins_with_its_directory_and_the_number_of_parameters(tmp_path, capsys):
    gpc.train(config("train.steps=1", "train.eval_every=0", "train.samples=0"), tmp_path)
    parameters = gpc.build_model(config()).count_params()
    assert capsys.readouterr().err.splitlines()[0] == f"{tmp_path}: {parameters:,} parameters"


def test_tensorboard_has_scalars_samples_and_the_configuration(whole):
    [path] = whole.glob("tensorboard/*")
    tags = {
        value.tag: value.metadata.plugin_data.plugin_name
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert tags == {
        "config": "text",
        "samples": "images",
        "train/bits_per_dim": "scalars",
        "train/gradient_norm": "scalars",
        "train/images_per_second": "scalars",
        "train/learning_rate": "scalars",
        "validation/bits_per_dim": "scalars",
    }


def test_load_gives_the_averaged_weights_of_the_best_validation(whole):
    lines = [line for line in metrics(whole) if "validation_bits_per_dim" in line]
    best = min(lines, key=lambda line: line["validation_bits_per_dim"])
    model = gpc.load(whole)
    split = data.load(data.DataConfig(**config().data)).validation
    bits = evaluation.score(model, split, batch_size=7, num_images=40)["bits_per_dim"]
    assert bits == pytest.approx(best["validation_bits_per_dim"], rel=1e-6)

    latest = gpc.load(whole, checkpoint="latest").trainable_weights
    arrays = final_arrays(whole)
    averages = [arrays[name] for name in sorted(arrays) if name.startswith("average/")]
    weights = [arrays[name] for name in sorted(arrays) if name.startswith("weights/")]
    for found, average in zip(latest, averages, strict=True):
        np.testing.assert_array_equal(found, average)
    assert any(not np.array_equal(a, w) for a, w in zip(averages, weights, strict=True))


def test_the_best_model_is_kept_when_the_validation_gets_worse(tmp_path, monkeypatch):
    seen = []

    def score(model, *_, **__):
        seen.append([np.array(weight) for weight in model.trainable_weights])
        return {"bits_per_dim": 1.0 + len(seen)}

    monkeypatch.setattr(evaluation, "score", score)
    result = gpc.train(config(), tmp_path)
    assert (result.bits_per_dim, result.best_bits_per_dim, result.best_step) == (3.0, 2.0, 3)
    for checkpoint, expected in zip(("best", "latest"), seen, strict=True):
        weights = gpc.load(tmp_path, checkpoint).trainable_weights
        for found, wanted in zip(weights, expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_the_loss_goes_down(tmp_path):
    longer = config("train.steps=90", "train.eval_every=0", "train.log_every=30")
    gpc.train(longer, tmp_path)
    losses = [line["train_bits_per_dim"] for line in metrics(tmp_path) if len(line) > 2]
    assert losses[-1] < losses[0] - 0.2


# Stopping and going on


@pytest.mark.parametrize("stop", [1, 3, 4])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(tmp_path, whole, monkeypatch, stop):
    with monkeypatch.context() as patch:
        at_step(patch, stop, lambda: signal.raise_signal(signal.SIGTERM))
        result = gpc.train(config(), tmp_path)
    assert (result.step, result.stopped_by) == (stop, "SIGTERM")
    # It stops at once: the validation that is due at step 3 is left for later.
    assert not any("validation_bits_per_dim" in line for line in metrics(tmp_path)[stop // 4 :])

    made = steps_made(monkeypatch)
    assert gpc.train(config(), tmp_path).step == 6
    assert made == list(range(stop, 6))
    assert_same_run(tmp_path, whole)


def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint(tmp_path, whole, monkeypatch):
    class Killed(BaseException):
        pass

    def kill():
        raise Killed

    with monkeypatch.context() as patch:
        at_step(patch, 5, kill)  # after the checkpoint of step 4 and the report of step 4
        with pytest.raises(Killed):
            gpc.train(config(), tmp_path)
    (tmp_path / "checkpoints" / "step-000000006.npz.tmp").write_bytes(b"half")
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 5, "train_bits_per_dim": 1.0}\n{"step": 5, "trai')
    gpc.train(config(), tmp_path)
    assert_same_run(tmp_path, whole)
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_damaged_latest_checkpoint_falls_back_to_the_one_before(tmp_path, whole, monkeypatch):
    with monkeypatch.context() as patch:
        at_step(patch, 4, lambda: signal.raise_signal(signal.SIGTERM))
        gpc.train(config(), tmp_path)
    path = tmp_path / "checkpoints" / "step-000000004.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="step-000000004.npz is damaged"):
        gpc.train(config(), tmp_path)
    assert_same_run(tmp_path, whole)


def test_ctrl_c_saves_and_is_passed_on(tmp_path, monkeypatch):
    handler = signal.getsignal(signal.SIGINT)

    def interrupt():
        assert signal.getsignal(signal.SIGINT) is not handler
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is handler  # a second Ctrl-C ends it at once

    at_step(monkeypatch, 3, interrupt)
    with pytest.raises(KeyboardInterrupt):
        gpc.train(config(), tmp_path)
    assert checkpoints.Checkpoints(tmp_path / "checkpoints").steps() == [2, 3]
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_signal_during_the_validation_ends_it_and_the_validation_is_made_up_for(
    tmp_path, whole, monkeypatch
):
    score = evaluation.score

    def interrupted(*arguments, **options):
        signal.raise_signal(signal.SIGTERM)
        return score(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "score", interrupted)
        assert gpc.train(config(), tmp_path).step == 3
    assert metrics(tmp_path) == []
    gpc.train(config(), tmp_path)
    assert_same_run(tmp_path, whole)


def test_a_validation_that_was_made_up_for_is_reported_once(tmp_path, whole, monkeypatch):
    def stopped(*_, **__):
        signal.raise_signal(signal.SIGTERM)
        raise Stopped

    def killed(self):
        raise SystemExit  # after the validation, before the next checkpoint

    for target, name, value, error in (
        (evaluation, "score", stopped, None),
        (Loop, "_sample", killed, SystemExit),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(target, name, value)
            with pytest.raises(error) if error else contextlib.nullcontext():
                gpc.train(config(), tmp_path)
    assert [line["step"] for line in metrics(tmp_path)] == [3]
    gpc.train(config(), tmp_path)
    assert_same_run(tmp_path, whole)


def test_a_signal_within_code_that_turns_every_exception_into_another_cuts_it_short():
    with StopRequests() as stop, stop.cut_short():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Exception as error:  # as TensorFlow does when it binds the arguments of a graph
            raise TypeError("binding inputs failed") from error
        pytest.fail("was not cut short")
    assert stop.signal == signal.SIGTERM


def test_time_is_counted_over_all_parts_of_a_run(tmp_path, monkeypatch):
    limited = config("train.minutes=1.0", "train.eval_every=0", "train.samples=0")
    started, steps = time.monotonic(), steps_made(monkeypatch)
    clock = types.SimpleNamespace(monotonic=lambda: started + 25 * len(steps))
    monkeypatch.setattr(loop, "time", clock)  # every step takes 25 seconds
    first = gpc.train(config("train.steps=2", "train.eval_every=0", "train.samples=0"), tmp_path)
    assert (first.step, first.seconds) == (2, 50)
    second = gpc.train(limited, tmp_path)
    assert (second.step, second.stopped_by) == (3, "minutes")


# What is refused


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
        ('{"format": 1, "config": {}}', "is damaged .seed is missing"),
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
    assert RunDirectory(tmp_path).read_config()["config"] == config()


def test_the_best_model_of_another_run_is_never_that_of_a_new_one(tmp_path, whole):
    (tmp_path / "checkpoints").mkdir()
    for name in ("config.json", "checkpoints/best.npz"):  # killed before the first save
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    with pytest.raises(UserError, match="model.features: 4 in the run, 8 now"):
        gpc.train(config("model.features=8"), tmp_path)
    gpc.train(config("train.steps=1", "train.eval_every=5", "train.samples=0"), tmp_path)
    assert not (tmp_path / "checkpoints" / "best.npz").exists()


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


# What goes wrong


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
    assert (result.best_step, result.best_bits_per_dim) == (best["step"], best["bits_per_dim"])


def test_how_a_step_is_computed_may_change_on_the_way(tmp_path, whole):
    gpc.train(config("train.steps=4"), tmp_path)
    gpc.train(config("train.remat=true", "train.accumulation=2", "train.jit=on"), tmp_path)
    found, wanted = final_arrays(tmp_path), final_arrays(whole)
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_run_in_half_precision_is_stopped_resumed_and_loaded(tmp_path, whole, precision):
    changes = [f"train.precision={precision}"]
    gpc.train(config(*changes), tmp_path / "whole")
    gpc.train(config(*changes, "train.steps=4"), tmp_path / "part")
    gpc.train(config(*changes), tmp_path / "part")
    found, wanted = final_arrays(tmp_path / "part"), final_arrays(tmp_path / "whole")
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)
    assert not np.array_equal(found["weights/0000"], final_arrays(whole)["weights/0000"])
    assert gpc.load(tmp_path / "part").compute_dtype == "float32"
    reported = [line for line in metrics(tmp_path / "part") if "train_loss_scale" in line]
    assert bool(reported) == (precision == "mixed_float16")


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


class FullDisk:
    """A file of a full disk: what was written is noticed when it is flushed or closed."""

    def write(self, text):
        pass

    def flush(self):
        raise OSError(28, "No space left on device")

    close = flush


def test_a_full_disk_is_one_clear_error_also_where_files_are_closed(tmp_path):
    with RunDirectory(tmp_path) as run:
        with pytest.raises(UserError, match="No space left .*there is no checkpoint before"):
            with Monitor(run, 0, 16) as monitor:
                monitor._metrics.close()
                monitor._metrics = FullDisk()
        with pytest.raises(UserError, match="what ends the run"):
            with Monitor(run, 0, 16) as monitor:
                monitor._metrics.close()
                monitor._metrics = FullDisk()
                raise UserError("what ends the run")
        checkpoints.write(run.checkpoints / "best.npz", {}, {})
        with pytest.raises(UserError, match="No space left .*are still there"):
            with Monitor(run, 0, 16) as monitor:
                monitor._metrics.close()
                monitor._metrics = FullDisk()
                monitor.scalars(1, {"a": 1.0})


def test_a_configuration_that_cannot_be_shown_is_one_clear_error(tmp_path, monkeypatch):
    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    with RunDirectory(tmp_path) as run, Monitor(run, 0, 16) as monitor:
        monkeypatch.setattr(tf.summary, "text", full)
        with pytest.raises(UserError, match="cannot write to the work directory .*No space left"):
            monitor.config(config())


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
        patch.setattr(evaluation, "score", unreadable)
        with pytest.raises(UserError, match="^image file 8.png cannot be read; saved at step 3"):
            gpc.train(config(), tmp_path)
    gpc.train(config(), tmp_path)
    assert_same_run(tmp_path, whole)


# In processes of their own


def test_a_warning_of_a_script_is_one_plain_line():
    script = "import warnings\nfrom gated_pixelcnn import errors\n"
    script += "errors.run(lambda argv: warnings.warn('a\\nb'), load_tensorflow=False)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "warning: a b\n")


def test_the_script_exits_with_0_after_sigterm_and_130_after_ctrl_c(tmp_path):
    overrides = [f"--config.{o}" for o in OVERRIDES if "steps=6" not in o]
    processes = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        workdir = tmp_path / number.name
        arguments = ["--config=digits", f"--workdir={workdir}", "--config.train.steps=100000"]
        command = [sys.executable, str(ROOT / "train.py"), *arguments, *overrides]
        command += ["--config.train.save_every=100000", "--config.train.eval_every=100000"]
        processes[number] = (workdir, subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
    for number, (workdir, process) in processes.items():
        while process.poll() is None and not (
            (workdir / "metrics.jsonl").exists() and (workdir / "metrics.jsonl").read_text()
        ):
            time.sleep(0.1)
        process.send_signal(number)
    for number, (workdir, process) in processes.items():
        _, errors = process.communicate(timeout=60)
        assert process.returncode == (0 if number == signal.SIGTERM else 130), errors
        assert "Traceback" not in errors
        assert len(checkpoints.Checkpoints(workdir / "checkpoints").steps()) == 1


def test_two_replicas_make_the_step_of_one():
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", PYTHONPATH=str(ROOT))
    result = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "replicas.py")],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "equal"
