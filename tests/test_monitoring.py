"""What a run shows: metrics.jsonl, TensorBoard, profiles, grids of samples."""

import contextlib
import json
import shutil
import types

import pytest
import tensorflow as tf
from runs import assert_same_run, config
from tensorboard.plugins.hparams import metadata

import gated_pixelcnn as gpc
from gated_pixelcnn import configs
from gated_pixelcnn.configs.training import TrainConfig
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.runs import checkpoints
from gated_pixelcnn.runs.directory import RunDirectory
from gated_pixelcnn.training.monitoring import SCALARS, Monitor
from gated_pixelcnn.training.profiling import Profiler
from gated_pixelcnn.training.state import TrainState


def shown(workdir):
    """All (step, summary value) of a run's event files, in the order of their writing."""
    return [
        (event.step, value)
        for path in sorted(workdir.glob("tensorboard/events.out.tfevents.*"))
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    ]


def texts(workdir):
    """The configurations shown, by step."""
    return {
        step: value.tensor.string_val[0].decode()
        for step, value in shown(workdir)
        if value.tag == "config"
    }


def hparams(workdir):
    """The session infos, from which TensorBoard makes the table of runs."""
    return [
        metadata.parse_session_start_info_plugin_data(value.metadata.plugin_data.content)
        for _, value in shown(workdir)
        if value.tag == metadata.SESSION_START_INFO_TAG
    ]


# What is shown


def test_tensorboard_has_scalars_samples_and_the_configuration(whole):
    tags = {v.tag: v.metadata.plugin_data.plugin_name for _, v in shown(whole)}
    assert tags == {
        "_hparams_/session_start_info": "hparams",
        "bits_per_dim/train": "scalars",
        "bits_per_dim/validation": "scalars",
        "config": "text",
        "optimizer/gradient_norm": "scalars",
        "optimizer/learning_rate": "scalars",
        "samples": "images",
        "speed/images_per_second": "scalars",
    }


NAMES = {"loss": "bits_per_dim", "validation": "bits_per_dim"}  # of a density model


def test_bits_per_dim_come_first_in_tensorboard():
    first, second, *_ = sorted(tag.format(**NAMES) for tag, _ in SCALARS.values())
    assert (first, second) == ("bits_per_dim/train", "bits_per_dim/validation")


def test_tensorboard_shows_the_numbers_of_metrics_jsonl(whole):
    found = {
        (step, value.tag): tf.make_ndarray(value.tensor).item()
        for step, value in shown(whole)
        if value.metadata.plugin_data.plugin_name == "scalars"
    }
    lines = map(json.loads, (whole / "metrics.jsonl").read_text().splitlines())
    tags = {name.format(**NAMES): tag.format(**NAMES) for name, (tag, _) in SCALARS.items()}
    wanted = {
        (line["step"], tags[key]): number
        for line in lines
        for key, number in line.items()
        if key != "step"
    }
    assert found == pytest.approx(wanted, rel=1e-6)


def test_samples_over_time_are_one_tag_with_a_column_for_each_class(tmp_path):
    few = ["train.samples=20", "train.sample_every=2", "train.steps=4", "train.eval_every=0"]
    gpc.train(config(*few), tmp_path)
    sizes = {step: v.tensor.string_val[:2] for step, v in shown(tmp_path) if v.tag == "samples"}
    width, height = (str(n * (8 + 2) + 2).encode() for n in (10, 2))
    assert sizes == {2: [width, height], 4: [width, height]}


def test_the_configuration_is_a_table_that_begins_with_what_is_not_the_default(whole):
    header, _, *rows = texts(whole)[0].splitlines()
    assert header == "| key | value | default |"
    assert "| **train.schedule** | `cosine` | `constant` |" in rows
    assert "| model.head_features | `none` | |" in rows
    assert "| data.flips | `false` | |" in rows
    assert len(rows) == len(configs.flat(config()))
    bold = [row.startswith("| **") for row in rows]
    assert bold == sorted(bold, reverse=True)


def test_histograms_of_all_weights_are_shown_on_request_at_their_steps(tmp_path):
    few = ["train.histogram_every=2", "train.samples=0", "train.eval_every=0"]
    gpc.train(config(*few, "train.steps=4"), tmp_path)
    gpc.train(config(*few, "train.steps=5"), tmp_path)  # does not show those of step 4 again
    found = [(step, value.tag) for step, value in shown(tmp_path) if "weights/" in value.tag]
    weights = gpc.build_model(config()).trainable_variables
    names = ["weights/" + weight.path.split("/", 1)[1] for weight in weights]
    assert "weights/block_0/column_conv/kernel" in names and len(set(names)) == len(names)
    assert found == [(step, name) for step in (2, 4, 5) for name in names]


# The table of runs


def test_the_table_of_runs_has_what_changes_the_model_and_not_what_is_reported(whole):
    [info] = hparams(whole)
    assert info.group_name == str(whole)  # a row for each run
    found = {key: getattr(v, v.WhichOneof("kind")) for key, v in info.hparams.items()}
    flat = configs.flat(config())
    for key in ("seed", "model.features", "model.condition", "train.learning_rate", "train.steps"):
        assert found[key] == flat[key]
    assert found["data.flips"] is False and found["model.head_features"] == "none"
    for key in ("train.log_every", "train.profile_steps", "description", "data.download"):
        assert key in flat and key not in found


def test_a_run_that_goes_on_shows_the_configuration_of_now_and_no_other(tmp_path, whole):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    gpc.train(config("train.steps=7"), tmp_path)
    assert list(texts(tmp_path)) == [6]
    assert "| **train.steps** | `7` |" in texts(tmp_path)[6]
    assert [info.hparams["train.steps"].number_value for info in hparams(tmp_path)] == [7]


def test_a_run_that_begins_anew_does_not_show_the_configuration_before(tmp_path, monkeypatch):
    def fails(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(TrainState, "make_step", fails)
        with pytest.raises(MemoryError):
            gpc.train(config(), tmp_path)
    assert [info.hparams["model.features"].number_value for info in hparams(tmp_path)] == [4]
    gpc.train(config("model.features=8", "train.steps=1"), tmp_path)
    assert [info.hparams["model.features"].number_value for info in hparams(tmp_path)] == [8]


# Profiles


@pytest.fixture
def recorded(monkeypatch):
    """What is asked of TensorFlow's profiler: "start", numbers of steps, "stop"."""
    calls = []

    def trace(name, step_num, _r):
        calls.append(step_num)
        return contextlib.nullcontext()

    fake = types.SimpleNamespace(
        start=lambda logdir: calls.append("start"), Trace=trace, stop=lambda: calls.append("stop")
    )
    monkeypatch.setattr(tf.profiler, "experimental", fake)
    return calls


def profiled(workdir, steps, profile_steps):
    """A run without all that is not needed here."""
    few = ["train.samples=0", "train.eval_every=0", f"train.steps={steps}"]
    gpc.train(config(*few, f"train.profile_steps={profile_steps}"), workdir)


def test_a_profile_is_where_tensorboard_looks_for_it_and_changes_nothing(tmp_path, whole):
    gpc.train(config("train.profile_steps=3,4"), tmp_path)
    [trace] = tmp_path.glob("tensorboard/plugins/profile/*/*.xplane.pb")
    assert b"train" in trace.read_bytes()
    assert_same_run(tmp_path, whole)


def test_only_the_steps_asked_for_are_profiled(tmp_path, recorded):
    def make_step():
        recorded.append("made")
        return tf.zeros(())

    with RunDirectory(tmp_path) as run, Profiler(run, range(2, 4)) as profiler:
        for step in (1, 2, 3, 4):
            profiler.step(step, make_step)
    assert recorded == ["made", "start", 2, "made", 3, "made", "stop", "made"]


def test_by_default_nothing_is_profiled(tmp_path, recorded):
    profiled(tmp_path, 2, "")
    assert recorded == []


def test_a_run_that_ends_within_the_steps_to_profile_leaves_what_there_is(tmp_path, recorded):
    profiled(tmp_path, 3, "2,9")
    assert recorded == ["start", 2, 3, "stop"]
    profiled(tmp_path, 4, "2,9")  # and goes on with those to come
    assert recorded == ["start", 2, 3, "stop", "start", 4, "stop"]
    profiled(tmp_path, 5, "2,4")  # these have been made
    assert len(recorded) == 7


def test_a_step_that_fails_is_still_in_the_profile(recorded, tmp_path):
    def fails():
        raise UserError("what ends the run")

    with RunDirectory(tmp_path) as run, pytest.raises(UserError, match="what ends the run"):
        with Profiler(run, range(1, 3)) as profiler:
            profiler.step(1, fails)
    assert recorded == ["start", 1, "stop"]


def test_workers_without_a_work_directory_profile_nothing(recorded):
    with Profiler(None, range(1, 9)) as profiler:
        assert profiler.step(1, lambda: "made") == "made"
    assert recorded == []


def test_a_profile_that_cannot_be_written_is_one_clear_error(tmp_path, monkeypatch, recorded):
    def full():
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.profiler.experimental, "stop", full)
    with pytest.raises(UserError, match="cannot write to the work directory .*No space left"):
        profiled(tmp_path, 3, "2,3")


@pytest.mark.parametrize("text", ["10", "ten,20", "20,10", "0,3", "-1,3", "1,2,3", ",", "1.0,2"])
def test_steps_to_profile_that_make_no_sense_are_one_clear_error(text):
    with pytest.raises(UserError, match="train.profile_steps must be a first and a last step"):
        TrainConfig(profile_steps=text)


# Full disks


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
                monitor.scalars(1, {"train_bits_per_dim": 1.0})


def test_a_configuration_that_cannot_be_shown_is_one_clear_error(tmp_path, monkeypatch):
    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    with RunDirectory(tmp_path) as run, Monitor(run, 0, 16) as monitor:
        monkeypatch.setattr(tf.summary, "text", full)
        with pytest.raises(UserError, match="cannot write to the work directory .*No space left"):
            monitor.config(0, config())
