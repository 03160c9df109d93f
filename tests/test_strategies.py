"""Strategies by name, and what the environment may have wrong: no cluster is started here."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tensorflow as tf

from gated_pixelcnn.errors import UserError
from gated_pixelcnn.training import strategies

ROOT = Path(__file__).parent.parent
WORKERS = ["localhost:2222", "localhost:2223"]
SLURM = {
    "SLURM_PROCID": "1",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NODELIST": "node[1-2]",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURM_JOB_ID": "12345",
}


def tf_config(cluster=None, task=None):
    cluster = {"worker": WORKERS} if cluster is None else cluster
    return json.dumps({"cluster": cluster, "task": task or {"type": "worker", "index": 0}})


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for name in SLURM:
        monkeypatch.delenv(name, raising=False)


def test_without_gpus_and_cluster_auto_is_one_device():
    assert strategies.make_strategy("auto").num_replicas_in_sync == 1
    assert strategies.make_strategy("one_device") is tf.distribute.get_strategy()


def test_mirrored_without_gpus_takes_the_cpu():
    strategy = strategies.make_strategy("mirrored")
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert strategy.num_replicas_in_sync == len(tf.config.list_logical_devices("CPU"))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (tf_config(), "multi_worker"),
        (tf_config({"chief": WORKERS[:1], "worker": WORKERS[1:]}), "multi_worker"),
        (tf_config({"worker": WORKERS[:1]}), "one_device"),
    ],
)
def test_auto_follows_a_tf_config_of_several_workers(monkeypatch, config, expected):
    monkeypatch.setenv("TF_CONFIG", config)
    assert strategies._suggested() == expected


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{'cluster': 1}", "TF_CONFIG is not JSON"),
        ("[]", "TF_CONFIG names no workers"),
        ("{}", "TF_CONFIG names no workers"),
        (tf_config({"worker": []}), "TF_CONFIG names no workers"),
        (tf_config({"worker": WORKERS, "ps": ["a:1"]}), "TF_CONFIG has tasks of type 'ps'"),
        (tf_config({"worker": "localhost:2222"}), "must have a list of addresses for 'worker'"),
        (tf_config({"worker": ["localhost"]}), "has the address 'localhost'; addresses look like"),
        (tf_config({"worker": ["localhost:99999"]}), "has the address 'localhost:99999'"),
        (tf_config({"worker": WORKERS[:1] * 2}), "TF_CONFIG has an address twice"),
        (tf_config({"chief": WORKERS}, {"type": "chief", "index": 0}), "more than one chief"),
        (json.dumps({"cluster": {"worker": WORKERS}}), "does not say which worker this process is"),
        (tf_config(task={"type": "worker"}), "does not say which worker this process is"),
        (tf_config(task={"type": "chief", "index": 0}), "is a 'chief', but its cluster has worker"),
        (tf_config(task={"type": ["worker"], "index": 0}), "but its cluster has worker only"),
        (tf_config(task={"type": "worker", "index": "²"}), "worker ², whose address is missing"),
        (tf_config(task={"type": "worker", "index": 2}), "worker 2, whose address is missing"),
        (tf_config(task={"type": "worker", "index": -1}), "worker -1, whose address is missing"),
    ],
)
def test_a_wrong_tf_config_is_one_sentence(monkeypatch, config, message):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(UserError, match=message):
        strategies.make_strategy("multi_worker")


def test_several_workers_need_a_cluster():
    with pytest.raises(UserError, match="set TF_CONFIG for each of them, or start them with srun"):
        strategies.make_strategy("multi_worker")


def test_a_port_in_use_is_told_before_the_others_are_waited_for(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        own = f"localhost:{taken.getsockname()[1]}"
        monkeypatch.setenv("TF_CONFIG", tf_config({"worker": [own, "localhost:1"]}))
        with pytest.raises(UserError, match=f"this worker cannot listen at {own}"):
            strategies.make_strategy("multi_worker")


def test_workers_cannot_be_joined_once_something_was_computed(monkeypatch):
    tf.constant(1.0).numpy()
    with socket.socket() as free:
        free.bind(("", 0))
        own = f"localhost:{free.getsockname()[1]}"
    monkeypatch.setenv("TF_CONFIG", tf_config({"worker": [own]}))
    with pytest.raises(UserError, match="only before TensorFlow has computed anything: make the"):
        strategies.make_strategy("multi_worker")


def test_a_worker_alone_says_whom_it_waits_for_and_gives_up(tmp_path):
    with socket.socket() as free:
        free.bind(("", 0))
        own = f"localhost:{free.getsockname()[1]}"
    program = (
        "import functools\n"
        "from gated_pixelcnn.training import strategies\n"
        "strategies.SECONDS_OF_PATIENCE = 3\n"
        "strategies.make_strategy('multi_worker', functools.partial(print, flush=True))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | {"TF_CONFIG": tf_config({"worker": [own, "localhost:1"]})},
        cwd=ROOT,
    )
    assert result.returncode == 1
    assert f"worker 0 at {own} waits for localhost:1, for 0.05 minutes at most" in result.stdout
    assert "Timeout" in result.stderr


def set_slurm(monkeypatch, **changes):
    for name, value in (SLURM | changes).items():
        if value is not None:
            monkeypatch.setenv(name, value)


def test_slurm_tells_the_addresses_and_which_one_is_ours(monkeypatch):
    set_slurm(monkeypatch, SLURMD_NODENAME="node1")
    resolver = strategies._resolver()
    port = 10_000 + 12345
    nodes = [f"{node}:{port + i}" for node in ("node1", "node2") for i in range(2)]
    assert resolver.cluster_spec().as_dict() == {"worker": nodes}
    assert (resolver.task_type, resolver.task_id) == ("worker", 1)
    gpus = len(tf.config.list_physical_devices("GPU"))
    assert resolver.num_accelerators() == {"GPU": gpus}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SLURM_STEP_NUM_TASKS": None}, "SLURM_STEP_NUM_TASKS is not set: start the workers with"),
        ({"SLURM_STEP_NODELIST": "node[1-"}, "do not describe the tasks of a step"),
        ({"SLURM_STEP_NUM_TASKS": "3"}, "do not describe the tasks of a step"),
        ({"SLURMD_NODENAME": "node2"}, "task 1 runs on node2, but .* takes it to be on node1"),
    ],
)
def test_wrong_variables_of_slurm_are_one_sentence(monkeypatch, changes, message):
    set_slurm(monkeypatch, **changes)
    with pytest.raises(UserError, match=message):
        strategies.make_strategy("multi_worker")


def test_the_script_names_the_nearest_strategy_and_ends_with_1():
    start = time.monotonic()
    result = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "--config=digits", "--strategy=mirored"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr == "error: --strategy is 'mirored'; did you mean 'mirrored'?\n"
    assert time.monotonic() - start < 60
