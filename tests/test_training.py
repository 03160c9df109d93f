"""Runs of the training loop: what they leave, how they stop and how they go on."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
from runs import OVERRIDES, assert_same_run, at_step, config, final_arrays, metrics, steps_made

import gated_pixelcnn as gpc
from gated_pixelcnn import data
from gated_pixelcnn.evaluation import BitsPerDim, Images
from gated_pixelcnn.runs import checkpoints
from gated_pixelcnn.training import loop
from gated_pixelcnn.training.interrupts import Stopped, StopRequests
from gated_pixelcnn.training.loop import Loop

ROOT = Path(__file__).parent.parent

# What a run leaves


def test_a_run_leaves_what_is_needed_to_use_it_and_to_go_on(whole):
    names = sorted(str(p.relative_to(whole)) for p in whole.rglob("*") if p.is_file())
    events = [name for name in names if name.startswith("tensorboard/events.out")]
    assert sorted(Path(name).suffix for name in events) == [".config", ".v2"]
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


def test_the_end_of_a_run_is_not_reported_as_the_mean_of_a_few_steps(tmp_path):
    few = ["train.log_every=4", "train.eval_every=0", "train.samples=0"]

    def reported(steps):
        gpc.train(config(*few, f"train.steps={steps}"), tmp_path)
        return [line["step"] for line in metrics(tmp_path) if "train_bits_per_dim" in line]

    assert reported(5) == [4]
    assert reported(7) == [4, 7]  # the mean of three steps


def test_the_reported_learning_rate_is_that_of_the_step(whole):
    [report] = [line for line in metrics(whole) if line["step"] == 4 and len(line) > 2]
    assert report["train_learning_rate"] == pytest.approx(0.003)  # the last of 4 of the warm-up
    [report] = [line for line in metrics(whole) if line["step"] == 6 and len(line) > 2]
    assert report["train_learning_rate"] == pytest.approx(0.003 * 0.5)  # half of the cosine


def test_a_run_begins_with_its_directory_and_the_number_of_parameters(tmp_path, capsys):
    gpc.train(config("train.steps=1", "train.eval_every=0", "train.samples=0"), tmp_path)
    parameters = gpc.build_model(config()).count_params()
    assert capsys.readouterr().err.splitlines()[0] == f"{tmp_path}: {parameters:,} parameters"


def test_load_gives_the_averaged_weights_of_the_best_validation(whole):
    lines = [line for line in metrics(whole) if "validation_bits_per_dim" in line]
    best = min(lines, key=lambda line: line["validation_bits_per_dim"])
    model = gpc.load(whole)
    split = data.load(data.DataConfig(**config().data)).validation
    bits = BitsPerDim().evaluate(model, Images(split, 7, 40))["bits_per_dim"]
    assert bits == pytest.approx(best["validation_bits_per_dim"], rel=1e-6)

    latest = gpc.load(whole, checkpoint="latest").trainable_weights
    arrays = final_arrays(whole)
    for weight in latest:
        average = arrays[f"average/{checkpoints.path_of(weight)}"]
        np.testing.assert_array_equal(weight, average)
    path = checkpoints.path_of(latest[0])
    assert not np.array_equal(arrays[f"average/{path}"], arrays[f"weights/{path}"])


def test_the_best_model_is_kept_when_the_validation_gets_worse(tmp_path, monkeypatch):
    seen = []

    def score(self, model, images):
        seen.append([np.array(weight) for weight in model.trainable_weights])
        return {"bits_per_dim": 1.0 + len(seen)}

    monkeypatch.setattr(BitsPerDim, "evaluate", score)
    result = gpc.train(config(), tmp_path)
    assert (result.loss, result.best_loss, result.best_step) == (3.0, 2.0, 3)
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


@pytest.mark.parametrize("stop", [3, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 4))])
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
        file.write('{"step": 5, "train_bits_per_dim": 1.0}\n[1]\n{"step": 5, "trai')
    with open(tmp_path / "metrics.jsonl", "ab") as file:
        file.write(b"\xff\xfe")
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
    score = BitsPerDim.evaluate

    def interrupted(*arguments, **options):
        signal.raise_signal(signal.SIGTERM)
        return score(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(BitsPerDim, "evaluate", interrupted)
        assert gpc.train(config(), tmp_path).step == 3
    assert metrics(tmp_path) == []
    gpc.train(config(), tmp_path)
    assert_same_run(tmp_path, whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_after_the_last_step_is_told_and_the_rest_is_made_up_for(
    tmp_path, monkeypatch, number
):
    short = config("train.steps=4")
    score = BitsPerDim.evaluate

    def interrupted(*arguments, **options):
        if metrics(tmp_path):  # the validation of step 3
            signal.raise_signal(number)
        return score(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(BitsPerDim, "evaluate", interrupted)
        if number == signal.SIGINT:
            with pytest.raises(KeyboardInterrupt):
                gpc.train(short, tmp_path)
        else:
            assert gpc.train(short, tmp_path).stopped_by == "SIGTERM"
    assert [line["step"] for line in metrics(tmp_path) if "validation_bits_per_dim" in line] == [3]
    assert gpc.train(short, tmp_path).stopped_by == "steps"
    gpc.train(short, tmp_path / "whole")
    assert_same_run(tmp_path, tmp_path / "whole")


def test_a_validation_that_was_made_up_for_is_reported_once(tmp_path, whole, monkeypatch):
    def stopped(*_, **__):
        signal.raise_signal(signal.SIGTERM)
        raise Stopped

    def killed(self):
        raise SystemExit  # after the validation, before the next checkpoint

    for target, name, value, error in (
        (BitsPerDim, "evaluate", stopped, None),
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


@pytest.mark.parametrize("arguments", [[], pytest.param(["rest"], marks=pytest.mark.slow)], ids=str)
def test_two_replicas_make_the_step_of_one(arguments):
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", PYTHONPATH=str(ROOT))
    result = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "replicas.py"), *arguments],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "equal"
