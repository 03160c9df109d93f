"""SavedModels as servers use them: without our code, from many threads, with requests of anyone."""

import concurrent.futures
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from exported import export_small, graph_of, of_kind

ROOT = Path(__file__).parents[1]
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


@pytest.fixture(scope="module", name="none")
def export_none(tmp_path_factory):
    """An unconditional model of gray images and its SavedModel."""
    return export_small("none", tmp_path_factory.mktemp("none") / "1")


@pytest.fixture(scope="module", name="label")
def export_label(tmp_path_factory):
    """A model that is conditioned on the class and its SavedModel."""
    return export_small("label", tmp_path_factory.mktemp("label") / "1")


def run(*arguments, **changes):
    """Runs a program; returns what it printed."""
    done = subprocess.run(
        [str(argument) for argument in arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""} | changes,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# Without Python


def tensor_names(path, signature, *names):
    """Names in the graph of inputs and outputs of a signature, which have different names."""
    definition = graph_of(path).signature_def[signature]
    tensors = dict(definition.inputs) | dict(definition.outputs)
    return [tensors[name].name for name in names]


@pytest.fixture(scope="module", name="client")
def build_client(tmp_path_factory):
    """The C program, linked with the libraries that came with TensorFlow."""
    if COMPILER is None:
        pytest.skip("there is no C compiler (cc, gcc or clang)")
    include, libraries = Path(tf.sysconfig.get_include()), Path(tf.sysconfig.get_lib())
    if not (include / "tensorflow" / "c" / "c_api.h").is_file():
        pytest.skip(f"TensorFlow was installed without tensorflow/c/c_api.h in {include}")
    linked = []
    for name in ("libtensorflow_cc", "libtensorflow_framework"):
        found = sorted(libraries.glob(f"{name}.so.*")) + sorted(libraries.glob(f"{name}.*.dylib"))
        if not found:
            pytest.skip(f"TensorFlow was installed without {name} in {libraries}")
        linked.append(found[0])
    program = tmp_path_factory.mktemp("client") / "serving_client"
    source = ROOT / "tests" / "serving_client.c"
    run(
        COMPILER,
        "-std=c99",
        "-Wall",
        "-Werror",
        f"-I{include}",
        source,
        *linked,
        f"-Wl,-rpath,{libraries}",
        "-o",
        program,
    )
    return program


def ask_client(client, path, num):
    names = tensor_names(path, "sample", "num", "seed", "temperature", "images")
    names += tensor_names(path, "log_prob", "images", "log_prob")
    return subprocess.run(
        [client, path, str(num), "7", "0.75", *names],
        capture_output=True,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
    )


def test_a_c_program_draws_the_same_images_with_the_same_probabilities(none, client):
    done = ask_client(client, none.path, 5)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    images = np.array([line[1:] for line in lines], np.uint8).reshape(5, *none.model.image_shape)
    np.testing.assert_array_equal(images, none.model.sample(5, seed=7, temperature=0.75, jit=False))
    nats = np.array([line[0] for line in lines], np.float32)
    np.testing.assert_allclose(nats, none.model.log_prob(images), rtol=1e-5)


def test_a_c_program_gets_an_error_for_a_wrong_request(none, client):
    done = ask_client(client, none.path, 0)
    assert done.returncode == 1
    assert f"error {tf.errors.INVALID_ARGUMENT}" in done.stdout
    assert "num must be 1…6 but is" in done.stdout


# saved_model_cli


def saved_model_cli(*arguments):
    return run(Path(sys.executable).parent / "saved_model_cli", *arguments)


@pytest.mark.slow
def test_saved_model_cli_shows_the_signatures(label):
    shown = saved_model_cli("show", "--dir", label.path, "--all")
    for name in label.saved.signatures:
        assert f"signature_def['{name}']" in shown
    for name in ("seed", "label", "temperature", "images", "known", "image_bytes", "log_prob"):
        assert f"['{name}'] tensor_info" in shown


def test_saved_model_cli_runs_a_signature(label, tmp_path):
    condition = label.condition(4)
    np.savez(tmp_path / "in.npz", seed=np.int64(3), temperature=np.float32(0.5), **condition)
    names = ("seed", "temperature", "label")
    inputs = ";".join(f"{name}={tmp_path / 'in.npz'}[{name}]" for name in names)
    where = ("--dir", label.path, "--tag_set", "serve", "--signature_def", "sample")
    saved_model_cli("run", *where, "--inputs", inputs, "--outdir", tmp_path)
    expected = label.model.sample(condition=of_kind(condition), seed=3, temperature=0.5, jit=False)
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), expected)


# Many at once


def test_requests_at_the_same_time_get_their_own_answers(label):
    def draw(seed):
        inputs = label.condition(1 + seed % 5)
        return label.call("sample", **inputs, seed=np.int64(seed), temperature=np.float32(1))[
            "images"
        ]

    seeds = range(40)
    one_by_one = [draw(seed) for seed in seeds]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        together = list(threads.map(draw, seeds))
    for found, expected in zip(together, one_by_one, strict=True):
        np.testing.assert_array_equal(found, expected)


# Requests of anyone


@pytest.mark.slow
def test_malformed_requests_end_in_clear_errors_and_the_server_lives_on(label):
    script = ROOT / "benchmarks" / "bad_requests.py"
    arguments = ("--num=60", f"--saved_model={label.path}")
    printed = run(sys.executable, script, *arguments, PYTHONPATH=str(ROOT))
    assert "60 requests" in printed
