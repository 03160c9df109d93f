"""What benchmarks/scaling.py counts, and the examples of docs/scaling.md."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tensorflow as tf
import yaml

import gated_pixelcnn as gpc
from gated_pixelcnn.models.families.gated_pixelcnn import GatedPixelCNN

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
sys.path.append(str(ROOT / "benchmarks"))

import scaling  # noqa: E402

# Counting


def make_model(image_shape=(5, 7, 3), **changes):
    arguments = {"features": 6, "layers": 3, "kernel_size": 5, "head_features": 9} | changes
    model = GatedPixelCNN(image_shape, levels=4, **arguments)
    model.build()
    return model


@pytest.mark.parametrize("changes", [{}, {"skips": False}, {"likelihood": "mixture"}])
def test_formula_is_what_the_graph_computes(changes):
    model = make_model(**changes)
    formula = scaling.operations(model) - scaling.image_gradient(model)
    assert scaling.counted(model) == formula
    assert abs(formula / scaling.operations(model) - 1) > scaling.TOLERANCE  # here it matters


def test_each_product_counts_two_operations_for_each_multiply_add():
    @tf.function(autograph=False)
    def products(x, kernel, matrix):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = tf.nn.conv2d(x, kernel, strides=1, padding="VALID")
        gradients = tape.gradient(y, [x, kernel])
        return y, *gradients, tf.matmul(matrix, matrix, transpose_a=True)

    shapes = [(2, 6, 8, 3), (3, 4, 3, 10), (7, 11)]
    graph = products.get_concrete_function(*map(tf.TensorSpec, shapes)).graph
    counts = [scaling.products(operation) for operation in graph.get_operations()]
    convolution = 2 * (2 * 4 * 5) * (3 * 4 * 3 * 10)  # positions, weights
    assert sorted(filter(None, counts)) == [2 * 7 * 11 * 11, *[convolution] * 3]


def test_profiler_counts_more_than_is_multiplied():
    model = make_model()
    assert scaling.profiled(model) > 1.1 * scaling.counted(model)


def test_sizes_of_the_presets_are_known_without_their_weights():
    for preset in scaling.PRESETS:
        model = scaling.abstract_model(preset)
        size = gpc.get_config(preset).data.image_size
        assert model.image_shape == (size or 32, size or 32, 3)
        assert model.count_params() > 20e6
        assert model.trainable_variables[0]._value is None


def test_activations_of_a_block_are_what_its_gradients_read():
    features, layers = 6, (3, 4, 5)
    kept = [scaling.kept_bytes(make_model((8, 8, 3), layers=n)) for n in layers]
    windows = (8 + 2) * (8 + 4) + 8 * (8 + 2)  # of the 5x5 and the 1x5 convolution, padded
    maps = 2 + 4 + 2  # what the link reads; tanh and sigmoid of both stacks; the gate, twice
    block = 4 * features * (windows + maps * 8 * 8)
    assert [kept[1] - kept[0], kept[2] - kept[1]] == [block, block]


def test_weights_are_no_activations_and_half_precision_halves_what_is_kept():
    model = make_model((2, 2, 3), features=48)
    kept = scaling.kept_bytes(model)
    assert 0 < kept < model.count_params()
    # Not half of all: the likelihood stays in float32.
    half = scaling.kept_bytes(make_model((2, 2, 3), features=48, dtype="mixed_bfloat16"))
    assert kept / 2 < half < 0.55 * kept


# Expected times


def test_ring_costs_nothing_alone_and_at_most_twice_the_bytes_of_a_link():
    def cost(num):
        return scaling.all_reduce_seconds(1000, num, bandwidth=10)

    assert cost(1) == 0
    assert cost(2) == 100
    assert cost(2) < cost(8) < cost(32) < 200
    assert math.isclose(cost(10**9), 200, rel_tol=1e-6)


def test_step_is_arithmetic_and_traffic_one_after_the_other():
    def seconds(num, bandwidth):
        return scaling.step_seconds(1e9, 4e6, 128, num, peak=1e12, bandwidth=bandwidth)

    assert seconds(1, 1e6) == seconds(1, 1e9) == 0.128
    assert seconds(8, math.inf) == 0.016
    assert math.isclose(seconds(8, 1e9), 0.016 + 2 * 7 / 8 * 4e6 / 1e9)


def test_ring_is_as_slow_as_the_network_once_it_leaves_a_host():
    for gpu in scaling.GPUS:
        assert scaling.ring_bandwidth(gpu, 8, network=100) == gpu.link
        assert scaling.ring_bandwidth(gpu, 32, network=100) == 12.5e9
        assert scaling.ring_bandwidth(gpu, 32, network=10**6) == gpu.link


# Examples


def commands():
    """(file, arguments) of every call of the training script in the documentation."""
    files = [path for path in (ROOT / "docs").rglob("*") if path.suffix in (".md", ".sh", ".yaml")]
    for path in [*sorted(files), ROOT / "README.md"]:
        text = re.sub(r"\\\n\s*", "", path.read_text())
        for line in re.findall(r"(?:gated-pixelcnn-train|python train\.py) (--[^`\n]*)", text):
            if "--list_presets" in line:
                continue
            arguments = re.findall(r"--\S+=\S+", line.partition("#")[0])
            arguments = [a for a in arguments if "$" not in a]  # the shell's
            yield pytest.param(arguments, id=f"{path.name}: {line[:40]}")


@pytest.mark.parametrize("arguments", commands())
def test_example_commands_have_a_preset_and_keys_that_exist(arguments):
    flags = dict(argument.removeprefix("--").split("=", 1) for argument in arguments)
    overrides = [
        f"{name.removeprefix('config.')}={value}"
        for name, value in flags.items()
        if name.startswith("config.")
    ]
    gpc.get_config(flags["config"], overrides)


@pytest.fixture(scope="module", name="help_text")
def make_help_text():
    done = subprocess.run(
        [sys.executable, ROOT / "train.py", "--help"], capture_output=True, text=True, cwd=ROOT
    )
    return done.stdout


@pytest.mark.parametrize("arguments", commands())
def test_example_flags_are_those_of_the_script(arguments, help_text):
    names = {argument.split("=")[0] for argument in arguments}
    for name in names:
        assert name.startswith("--config.") or re.search(rf"^\s+{name}:", help_text, re.M), name


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.sh")), ids=lambda path: path.name)
def test_shell_examples_parse(path):
    shell = path.read_text().splitlines()[0].removeprefix("#!/bin/")
    subprocess.run([shell, "-n", path], check=True)


@pytest.fixture(name="programs")
def make_programs(tmp_path):
    """Stands for the programs that examples call: function of name and script; all log calls."""
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": tmp_path / "log"}
    environment.pop("TF_CONFIG", None)

    def add(name, script):
        (tmp_path / name).write_text(f'#!/bin/bash\necho "{name} $*" >> "$LOG"\n{script}\n')
        (tmp_path / name).chmod(0o755)
        return environment

    return add


def check_tf_configs(texts, count):
    """Whether each worker's TF_CONFIG is right; returns the addresses."""
    configs = [json.loads(text) for text in texts]
    clusters = [config["cluster"] for config in configs]
    assert all(cluster == clusters[0] for cluster in clusters)
    assert [config["task"] for config in configs] == [
        {"type": "worker", "index": i} for i in range(count)
    ]
    addresses = clusters[0]["worker"]
    assert len(set(addresses)) == len(addresses) == count
    return addresses


def test_tf_config_example_differs_in_the_index_only(programs):
    environment = programs("gated-pixelcnn-train", 'echo "$TF_CONFIG"')
    script = EXAMPLES / "tf_config.sh"
    texts = [
        subprocess.run(
            ["sh", script, str(i)], env=environment, capture_output=True, check=True
        ).stdout
        for i in range(4)
    ]
    check_tf_configs(texts, 4)


@pytest.fixture(name="kubernetes")
def read_kubernetes():
    """(service, job) of the Kubernetes example."""
    documents = list(yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text()))
    assert [document["kind"] for document in documents] == ["Service", "Job"]
    return documents


def test_kubernetes_workers_find_each_other(kubernetes, programs):
    service, job = kubernetes
    environment = programs("gated-pixelcnn-train", 'echo "$TF_CONFIG"')
    template = job["spec"]["template"]["spec"]
    [container] = template["containers"]
    environment |= {variable["name"]: variable["value"] for variable in container["env"]}
    count = job["spec"]["completions"]
    texts = [
        subprocess.run(
            container["command"],
            env=environment | {"JOB_COMPLETION_INDEX": str(i)},
            capture_output=True,
            check=True,
        ).stdout
        for i in range(count)
    ]
    port = container["ports"][0]["containerPort"]
    name, domain = job["metadata"]["name"], service["metadata"]["name"]
    # The names that pods of an indexed job have within the subdomain.
    assert check_tf_configs(texts, count) == [f"{name}-{i}.{domain}:{port}" for i in range(count)]
    assert template["subdomain"] == domain
    assert service["spec"]["selector"] == {"job-name": name}
    assert service["spec"]["ports"] == [{"port": port}]
    # "None" is a string here: no address of its own.
    assert (service["spec"]["clusterIP"], service["spec"]["publishNotReadyAddresses"]) == (
        "None",
        True,
    )


def test_kubernetes_workers_run_at_once_and_never_come_back_alone(kubernetes):
    _, job = kubernetes
    spec, template = job["spec"], job["spec"]["template"]["spec"]
    assert (job["apiVersion"], spec["completionMode"]) == ("batch/v1", "Indexed")
    assert spec["parallelism"] == spec["completions"]
    assert (spec["backoffLimit"], template["restartPolicy"]) == (0, "Never")
    [container] = template["containers"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in template["volumes"]}
    paths = [mount["mountPath"] for mount in container["volumeMounts"]]
    command = container["command"][-1]
    for option in ("--workdir", "--config.data.data_dir"):
        path = re.search(rf"{re.escape(option)}=(\S+)", command)[1]
        assert any(f"{path}/".startswith(f"{mount}/") for mount in paths)
    # The process of the container is the training: the shell would keep SIGTERM for itself.
    assert "exec gated-pixelcnn-train" in command


def run_slurm(environment, act=None):
    """Runs the SLURM example; returns its exit code and what it called."""
    log = Path(environment["LOG"])
    process = subprocess.Popen(
        ["bash", EXAMPLES / "slurm.sh"], env=environment | {"SLURM_JOB_ID": "17"}
    )
    if act is not None:
        deadline = time.monotonic() + 20
        while not (log.exists() and "ready" in log.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        act(process)
    code = process.wait(timeout=20)
    return code, [line.split()[0] for line in log.read_text().splitlines()]


def test_slurm_job_is_saved_and_queued_again_when_its_time_is_up(programs):
    programs("scontrol", '[ "$*" = "requeue 17" ]')
    environment = programs(
        "srun",
        """trap 'kill $!; echo saved >> "$LOG"; exit 0' TERM
        sleep 60 & echo ready >> "$LOG"; wait""",
    )
    _, calls = run_slurm(environment, lambda process: process.send_signal(signal.SIGUSR1))
    assert calls == ["srun", "ready", "saved", "scontrol"]


@pytest.mark.parametrize("code", [0, 3])
def test_slurm_job_that_ends_by_itself_is_not_queued_again(programs, code):
    programs("scontrol", "")
    assert run_slurm(programs("srun", f"exit {code}")) == (code, ["srun"])


def test_slurm_step_has_a_task_per_node_and_is_told_before_the_time_is_up():
    text = (EXAMPLES / "slurm.sh").read_text()
    options = dict(re.findall(r"^#SBATCH --(\S+?)(?:=(\S+))?$", text, re.M))
    assert (options["nodes"], options["ntasks-per-node"], options["gpus-per-task"]) == (
        "4",
        "1",
        "8",
    )
    assert "requeue" in options
    warned, seconds = re.fullmatch(r"B:(\w+)@(\d+)", options["signal"]).groups()
    assert re.search(rf"^trap \w+ {warned}$", text, re.M) and int(seconds) >= 60
