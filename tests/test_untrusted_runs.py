"""Runs of strangers: nothing in them is run, and what is wrong with them is told."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from malicious import Malicious, pickled, refused, small_model, write_giant

import gated_pixelcnn as gpc
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.runs import checkpoints
from gated_pixelcnn.runs.directory import RunDirectory, record


@pytest.fixture(scope="module", name="model")
def make_model():
    return small_model()


@pytest.fixture(name="run")
def make_run(tmp_path, model):
    """The work directory of a run, as far as `load` and the scripts look at it."""
    config = gpc.get_config("digits", ["model.features=4", "model.layers=2"])
    config.unlock()
    config.model.condition = None
    config.model.spatial_features = 0
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    run.write_config(record(config.lock(), (4, 4, 1), 4, 0))
    config_of_run = run.read_config()["config"]
    model = gpc.build_model(config_of_run, (4, 4, 1), 4)
    checkpoints.Checkpoints(run.checkpoints).save_best(
        checkpoints.values(checkpoints.named("weights", model.weights)), {}
    )
    return run.path


def edit_run(run, section, key, value):
    path = run / "config.json"
    content = json.loads(path.read_text())
    part = content
    for name in section:
        part = part[name]
    part[key] = value
    path.write_text(json.dumps(content))


def test_a_run_is_loaded(run):
    assert gpc.load(run).levels == 4


@pytest.mark.parametrize("name", ["weights/head/hidden/kernel", "meta", "new"])
def test_a_checkpoint_with_a_pickle_is_damaged_and_not_run(run, marker, name):
    path = run / "checkpoints" / "best.npz"
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | {name: pickled(marker)})
    refused(run, "best.npz is damaged .*pickle")


def test_a_checkpoint_that_is_itself_a_pickle_is_damaged_and_not_run(run, marker):
    content = pickle.dumps(Malicious(marker))
    for name in ("best.npz", "step-000000001.npz"):
        (run / "checkpoints" / name).write_bytes(content)
    with pytest.warns(UserWarning, match="best.npz is damaged"):
        refused(run, "all checkpoints in .* are damaged")


@pytest.mark.parametrize(
    "entries",
    [
        {"meta.npy": b"null"},
        {"meta": b"[[], {}]"},
        {"meta.npy": b"[[], {}]", "weights/0000": b"no array"},
        {"meta.npy": b'[["weights/0000"], {}]', "weights/0000": b"no array"},
        {"meta.npy": b'[["weights/0000"], {}]', "weights/0000.npy": np.array(["text"])},
        {"meta.npy": b"[" * 100_000},
    ],
)
def test_strange_entries_of_a_checkpoint_are_damage(run, entries):
    with zipfile.ZipFile(run / "checkpoints" / "best.npz", "w") as archive:
        for name, content in entries.items():
            if name == "meta.npy":
                content = np.frombuffer(content, np.uint8)
            if isinstance(content, np.ndarray):
                file = io.BytesIO()
                np.save(file, content)
                content = file.getvalue()
            archive.writestr(name, content)
    refused(run, "best.npz is damaged")


def test_an_array_that_is_larger_than_memory_is_damage(run):
    write_giant(run / "checkpoints" / "best.npz", "weights/0000", "<f4")
    refused(run, "best.npz is damaged")


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        (("config", "model"), "features", 10**9, "arrays, but model.features is 1000000000"),
        (("config", "model"), "layers", 10**9, "arrays, but model.layers is 1000000000"),
        (("config", "model"), "first_kernel_size", 101, "its configuration needs more"),
        (("config", "model"), "features", float("nan"), "must be of type int"),
        (("config", "model"), "likelihood", {"py/object": "os.system"}, "no configuration key"),
        (("config", "data"), "source", {"a": {"b": {"c": 1}}}, "config.json is damaged"),
        (("config",), "model", [1], "config.json is damaged"),
        ((), "image_shape", [10**9], "config.json is damaged"),
        ((), "image_shape", "abc", "config.json is damaged"),
        ((), "image_shape", [2 * 10**400, 2, 1], "config.json is damaged"),
        ((), "class_names", [1, 2], "class_names are not a list of names"),
        ((), "class_names", "abc", "class_names are not a list of names"),
        ((), "class_names", [{"py/reduce": []}], "class_names are not a list of names"),
    ],
)
def test_a_strange_configuration_of_a_run_is_told(run, section, key, value, message):
    edit_run(run, section, key, value)
    refused(run, message)


@pytest.mark.parametrize(
    "content",
    [
        "!!python/object/apply:os.system ['true']",  # what YAML would run
        "cos\nsystem\n(S'true'\ntR.",  # what pickle would run
        "[" * 100_000,
        '{"format": ' + "9" * 5000 + "}",
    ],
)
def test_a_configuration_that_is_not_json_is_told(run, content):
    (run / "config.json").write_text(content)
    with pytest.raises(UserError, match="config.json is damaged"):
        gpc.load(run)
