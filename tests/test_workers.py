"""Several workers: real processes on this machine that talk over its loopback interface."""

import json
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

import gated_pixelcnn as gpc
from gated_pixelcnn.runs.checkpoints import Checkpoints

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from cluster import Cluster  # noqa: E402

OVERRIDES = [
    "model.features=4",
    "model.layers=2",
    "model.first_kernel_size=3",
    "train.batch_size=16",
    "train.warmup_steps=2",
    "train.schedule=constant",
    "train.learning_rate=0.0001",
    "train.ema_decay=0.9",
    "train.eval_every=2",
    "train.eval_images=15",
    "train.sample_every=0",
    "train.log_every=1",
    "train.save_every=1",
]
SECONDS = 60  # within which whatever is wrong must have ended


def options(steps):
    changes = [*OVERRIDES, f"train.steps={steps}"]
    return ["--config=digits", *(f"--config.{change}" for change in changes)]


def last(workdir):
    """The arrays of the last checkpoint, and the reports but for the speed."""
    lines = map(json.loads, (Path(workdir) / "metrics.jsonl").read_text().splitlines())
    reports = [{k: v for k, v in line.items() if "second" not in k} for line in lines]
    return Checkpoints(Path(workdir) / "checkpoints").latest().arrays, reports


def assert_same_run(workdir, other):
    arrays, reports = last(workdir)
    wanted, wanted_reports = last(other)
    assert arrays.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_allclose(arrays[name], wanted[name], rtol=1e-4, atol=1e-6, err_msg=name)
    assert [list(line) for line in reports] == [list(line) for line in wanted_reports]
    for line, wanted_line in zip(reports, wanted_reports, strict=True):
        np.testing.assert_allclose(list(line.values()), list(wanted_line.values()), rtol=1e-4)


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    """A run of 6 steps in one process, on one device."""
    workdir = tmp_path_factory.mktemp("one")
    gpc.train(gpc.get_config("digits", [*OVERRIDES, "train.steps=6"]), workdir)
    return workdir


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_workers_train_as_one_process_and_only_the_first_needs_the_directory(
    tmp_path, one_process, count
):
    workdirs = [[f"--workdir={tmp_path / str(i)}"] for i in range(count)]
    with Cluster(tmp_path / "logs", count).start(options(6), workdirs) as cluster:
        assert cluster.wait() == [0] * count, [cluster.output(i) for i in range(count)]
    assert_same_run(tmp_path / "0", one_process)
    assert not any((tmp_path / str(i)).exists() for i in range(1, count))


@pytest.mark.slow
def test_workers_start_from_another_run_that_only_the_first_needs(tmp_path, one_process):
    start = f"train.init_from={one_process}"
    with Cluster(tmp_path / "logs", 2).start(
        [*options(2), f"--config.{start}", f"--workdir={tmp_path / 'two'}"]
    ) as cluster:
        assert cluster.wait() == [0, 0], [cluster.output(i) for i in range(2)]
    gpc.train(gpc.get_config("digits", [*OVERRIDES, "train.steps=2", start]), tmp_path / "one")
    assert_same_run(tmp_path / "two", tmp_path / "one")


def test_workers_that_are_stopped_or_killed_go_on_as_if_they_had_not(tmp_path):
    workdir = tmp_path / "run"

    def start(name, steps):
        return Cluster(tmp_path / name, 2).start([*options(steps), f"--workdir={workdir}"])

    # SIGTERM to one of them: both save and leave.
    with start("stopped", 100_000) as cluster:
        cluster.wait_for(": validation")
        cluster.processes[1].send_signal(signal.SIGTERM)
        assert cluster.wait(SECONDS) == [0, 0], cluster.output(0)
    for i in (0, 1):
        assert "SIGTERM; the same command goes on" in cluster.output(i)

    # SIGKILL to one of them: the other one says so and leaves.
    with start("killed", 100_000) as cluster:
        cluster.wait_for(": validation")
        cluster.processes[1].kill()
        assert cluster.wait(SECONDS)[0] == 1
    assert "error: worker 0 has lost another one of the 2 workers" in cluster.output(0)
    assert "Traceback" not in cluster.output(0)

    # All of them again.
    steps = Checkpoints(workdir / "checkpoints").steps()[-1] + 2
    with start("restarted", steps) as cluster:
        assert cluster.wait() == [0, 0], cluster.output(0)
    assert f"resuming at step {steps - 2}" in cluster.output(0)
    gpc.train(gpc.get_config("digits", [*OVERRIDES, f"train.steps={steps}"]), tmp_path / "one")
    assert_same_run(workdir, tmp_path / "one")


def test_workers_with_different_configurations_all_say_so(tmp_path):
    workdir = tmp_path / "run"
    more = [[], ["--config.model.layers=3"]]
    with Cluster(tmp_path, 2).start([*options(6), f"--workdir={workdir}"], more) as cluster:
        assert cluster.wait(SECONDS) == [1, 1]
    for i in (0, 1):
        message = "the workers have different configurations (model.layers: 2 on worker 0, 3 on"
        assert message in cluster.output(i)
        assert "Traceback" not in cluster.output(i)
    assert not workdir.exists()


@pytest.mark.slow
def test_a_worker_whose_data_cannot_be_read_ends_all(tmp_path):
    # The same command, but the file is there for one of them only.
    images = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1)).astype(np.uint8)
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    np.savez(tmp_path / "here" / "data.npz", x_train=images, y_train=np.arange(32) % 10)
    arguments = [*options(6), "--config.data.source=npz:data.npz", f"--workdir={tmp_path / 'run'}"]
    with Cluster(tmp_path, 2) as cluster:
        cluster.start_one(0, arguments, folder=tmp_path / "here")
        cluster.start_one(1, arguments, folder=tmp_path / "there")
        assert cluster.wait(SECONDS) == [1, 1]
    assert "data.npz" in cluster.output(1)
    assert "error: worker 0 has lost another one of the 2 workers" in cluster.output(0)
