"""Files of strangers: nothing in them is run, and what is wrong with them is told."""

import base64
import io
import json
import marshal
import pickle
import shutil
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import gated_pixelcnn as gpc
from gated_pixelcnn import photos
from gated_pixelcnn.data import DataConfig, image_reading
from gated_pixelcnn.data import load as load_data
from gated_pixelcnn.data.config import ImageRules
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.training import checkpoints
from gated_pixelcnn.training.run_directory import RunDirectory, record

IMAGES = np.zeros((2, 4, 4, 1), np.uint8)


@pytest.fixture(name="marker")
def make_marker(tmp_path):
    """A file that only the code of a malicious file makes."""
    path = tmp_path / "code_was_run"
    yield path
    assert not path.exists()


def pickled(marker):
    """An array of an object that makes the marker when it is unpickled."""
    return np.array([Malicious(marker)], object)


class Malicious:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def test_the_payloads_run_where_nothing_protects(tmp_path):
    # Else the tests below would show nothing.
    np.savez(tmp_path / "a.npz", pickled(tmp_path / "unpickled"))
    with np.load(tmp_path / "a.npz", allow_pickle=True) as file:
        file["arr_0"]
    assert (tmp_path / "unpickled").exists()
    saved = {"class_name": "Lambda", "module": "keras.layers", "config": {}}
    saved["config"]["function"] = lambda_that_makes(tmp_path / "called")
    layer = keras.saving.deserialize_keras_object(saved, safe_mode=False)
    layer(np.zeros((1, 1)))
    assert (tmp_path / "called").exists()


# .keras files


def lambda_that_makes(marker):
    code = compile(f"lambda x: (open({str(marker)!r}, 'w').close(), x)[1]", "", "eval").co_consts[0]
    encoded = base64.b64encode(marshal.dumps(code)).decode()
    config = {"code": encoded, "defaults": None, "closure": None}
    return {"class_name": "__lambda__", "config": config}


@pytest.fixture(scope="module", name="model")
def make_model():
    model = gpc.GatedPixelCNN((4, 4, 1), levels=4, features=4, layers=2)
    model.build()
    return model


@pytest.fixture(name="saved")
def save(model, tmp_path):
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def edit(path, change=None, entries=(), weights=None, compression=zipfile.ZIP_STORED):
    """Writes the archive anew: with config.json changed, other entries, other weights."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    if change is not None:
        config = json.loads(contents["config.json"])
        contents["config.json"] = json.dumps(change(config) or config)
    if weights is not None:
        file = io.BytesIO(contents["model.weights.h5"])
        with h5py.File(file, "a") as arrays:
            weights(arrays)
        contents["model.weights.h5"] = file.getvalue()
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in [*contents.items(), *entries]:
            archive.writestr(name, content)


def refused(path, message):
    with pytest.raises(UserError, match=message) as caught:
        gpc.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "dtype", ["float32", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_saved_model_is_loaded_as_it_was(tmp_path, dtype, compiled):
    model = gpc.GatedPixelCNN(
        (4, 4, 1), 4, features=4, layers=2, condition="label", condition_size=3, dtype=dtype
    )
    model.build()
    labels = np.array([0, 2])
    if compiled:
        model.compile("adam")
        model.fit(IMAGES, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    found = gpc.load(tmp_path / "model.keras")
    assert found.dtype_policy == model.dtype_policy
    np.testing.assert_array_equal(found.log_prob(IMAGES, labels), model.log_prob(IMAGES, labels))


def with_layer(layer):
    return lambda _: {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"layers": [layer]},
        "registered_name": None,
    }


def named(module, name):
    return {"class_name": "function", "module": module, "config": name, "registered_name": name}


def test_a_lambda_is_not_run_wherever_it_is(saved, marker):
    function = lambda_that_makes(marker)
    layer = {"class_name": "Lambda", "module": "keras.layers", "config": {"function": function}}
    edit(saved, with_layer(layer))
    refused(saved, "holds a 'Sequential', not a model of this package")
    for key in ("likelihood", "dtype", "levels", "image_shape", "new"):
        edit(saved, lambda config, key=key: config_of(config, {key: function}))
        refused(saved, "model.keras")


def config_of(config, values):
    """Our model again, with other values."""
    return config | {
        "class_name": "GatedPixelCNN",
        "registered_name": "gated_pixelcnn>GatedPixelCNN",
        "config": plain() | values,
    }


def plain():
    policy = {"class_name": "DTypePolicy", "config": {"name": "float32"}}
    sizes = {"image_shape": [4, 4, 1], "levels": 4, "condition_size": 0}
    return {"name": "m", "dtype": policy, **sizes, "features": 4, "layers": 2}


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("os", "system"),
        ("keras.utils", "get_file"),
        # Keras' safe mode has no objection to these:
        ("keras.utils", "plot_model"),
        ("keras.config", "set_floatx"),
    ],
)
def test_functions_that_a_file_names_are_never_looked_up(saved, monkeypatch, module, name):
    keras_lib = sys.modules["keras.src.saving.serialization_lib"]
    look_up = keras_lib._retrieve_class_or_fn

    def watched(looked_up, *arguments, **more):
        assert looked_up != name
        return look_up(looked_up, *arguments, **more)

    monkeypatch.setattr(keras_lib, "_retrieve_class_or_fn", watched)
    dense = {"units": 1, "activation": named(module, name)}
    edit(saved, with_layer({"class_name": "Dense", "module": "keras.layers", "config": dense}))
    refused(saved, "not a model of this package")
    edit(saved, lambda config: config_of(config, {"likelihood": named(module, name)}))
    refused(saved, "there is no configuration key|must be of type str")
    edit(saved, lambda config: config_of(config, {}) | {"compile_config": named(module, name)})
    gpc.load(saved)


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "assets/../../evil", "assets/a"])
def test_no_entry_of_an_archive_gets_outside(saved, tmp_path, name):
    name = name.replace("/tmp", str(tmp_path))
    edit(saved, entries=[(name, b"evil")])
    before = sorted(tmp_path.parent.rglob("*"))
    refused(saved, "has an entry .*evil|has an entry 'assets/a'")
    assert sorted(tmp_path.parent.rglob("*")) == before


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_entries_that_keras_does_not_write_are_refused(saved):
    whole = saved.read_bytes()
    edit(saved, entries=[("config.json", b"{}")])
    refused(saved, "each once")
    saved.write_bytes(whole)
    edit(saved, compression=zipfile.ZIP_DEFLATED)  # such as a decompression bomb
    refused(saved, "is compressed")


def test_a_file_that_is_no_whole_archive_is_told(saved, tmp_path):
    whole = saved.read_bytes()
    for content in (b"", b"garbage", whole[:1000], whole[:-1], whole[1000:]):
        saved.write_bytes(content)
        refused(saved, "is not a whole .keras file .*truncated")
    refused(tmp_path / "missing.keras", "there is no file .*missing.keras")
    (tmp_path / "folder.keras").mkdir()
    refused(tmp_path / "folder.keras", "is not the work directory of a run")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    saved.write_bytes(flipped)
    refused(saved, "is not a whole .keras file .*Bad CRC-32")


@pytest.mark.parametrize(
    "content", ["[]", "{}", "null", "NaN", "{", "[" * 100_000, '{"registered_name": []}', "\xff"]
)
def test_strange_descriptions_of_a_model_are_told(saved, content):
    with zipfile.ZipFile(saved) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents["config.json"] = content.encode("latin-1")
    with zipfile.ZipFile(saved, "w") as archive:
        for name, entry in contents.items():
            archive.writestr(name, entry)
    refused(saved, "is not a whole .keras file|is refused")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"features": 10**9}, "arrays, but model.features is 1000000000"),
        ({"layers": 10**9}, "arrays, but model.layers is 1000000000"),
        ({"features": 1024}, "values, but its configuration needs more"),
        ({"features": 8}, "values, but its configuration needs more"),
        ({"features": 2}, "not those of the model that it describes"),
        ({"features": float("nan")}, "model.features must be of type int"),
        ({"features": "4"}, "model.features must be of type int"),
        ({"features": -4}, "config.model"),
        ({"likelihood": {"a": {"b": 1}}}, "no configuration key 'model.likelihood.a.b'"),
        ({"trainable": True}, "no configuration key 'model.trainable'"),
        ({"image_shape": [10**9, None, 1]}, "image_shape, levels and condition_size"),
        ({"levels": 10**9}, "levels"),
        ({"condition": "label", "condition_size": 10**400}, "image_shape, levels and condition"),
        ({"condition": "label", "condition_size": 10**9}, "needs more"),
        ({"dtype": {"config": {"name": "int8"}}}, "its dtype policy must be one of float32"),
    ],
)
def test_impossible_models_are_refused_before_they_take_memory(saved, values, message):
    edit(saved, lambda config: config_of(config, values))
    refused(saved, message)


def replaced(name, make):
    def change(arrays):
        del arrays[name]
        make(arrays, name)

    return change


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda a, name: a.create_dataset(name, (10**8,), "f4", chunks=True, compression=9),
            "is not stored as Keras stores it",
        ),
        (
            lambda a, name: a.create_dataset(name, (4,), "f4", external=[("elsewhere", 0, 16)]),
            "is not stored as Keras stores it",
        ),
        (
            lambda a, name: a.create_virtual_dataset(name, h5py.VirtualLayout((4,), "f4")),
            "is not stored as Keras stores it",
        ),
        (lambda a, name: a.__setitem__(name, h5py.ExternalLink("b.h5", "/x")), "is not stored"),
        (lambda a, name: a.__setitem__(name, h5py.SoftLink("/head")), "is not stored"),
        (lambda a, name: a.create_dataset(name, data=np.full(4, np.nan, "f4")), "not finite"),
        (lambda a, name: a.create_dataset(name, data=np.bytes_(["a"] * 4)), "not those of"),
        (lambda a, name: None, "not those of the model"),
    ],
)
def test_weights_are_arrays_of_the_file_itself(saved, make, message):
    edit(saved, weights=replaced("head/hidden/vars/1", make))
    refused(saved, message)


# Runs


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
        checkpoints.named("weights", model.weights), {}
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


@pytest.mark.parametrize("name", ["weights/0000", "meta", "new"])
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


def write_giant(path, name, dtype):
    header = io.BytesIO()
    whole = {"descr": dtype, "fortran_order": False, "shape": (10**15, 4, 4, 1)}
    np.lib.format.write_array_header_1_0(header, whole)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.npy", header.getvalue())


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


# Images and data


@pytest.mark.parametrize("key", ["x_train", "y_train", "class_names"])
def test_pickles_in_data_are_not_run(tmp_path, marker, key):
    arrays = {"x_train": IMAGES, "y_train": np.zeros(2, int), "class_names": ["a"]}
    np.savez(tmp_path / "data.npz", **arrays | {key: pickled(marker)})
    with pytest.raises(UserError, match="pickled"):
        load_data(DataConfig(source=f"npz:{tmp_path / 'data.npz'}", levels=4))


def test_pickles_in_given_images_are_not_run(tmp_path, marker):
    np.savez(tmp_path / "given.npz", images=pickled(marker))
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(Malicious(marker)))
    np.save(tmp_path / "array.npy", pickled(marker))
    shutil.move(tmp_path / "array.npy", tmp_path / "array.npz")
    for name in ("given.npz", "bare.npz", "array.npz"):
        with pytest.raises(UserError, match=f"{name} (cannot be read:|is not) .*npz file"):
            photos.read_images(tmp_path / name, (4, 4, 1), 4)


def test_entries_of_an_npz_file_that_are_no_arrays_are_told(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images", b"text")
        archive.writestr("x_train", b"text")
    with pytest.raises(UserError, match="a.npz"):
        photos.read_images(path, (4, 4, 1), 4)
    with pytest.raises(UserError, match="a.npz"):
        load_data(DataConfig(source=f"npz:{path}", levels=4))


def test_images_larger_than_memory_are_told(tmp_path):
    path = tmp_path / "a.npz"
    write_giant(path, "images", "|u1")
    with pytest.raises(UserError, match="a.npz cannot be read"):
        photos.read_images(path, (4, 4, 1), 4)
    write_giant(path, "x_train", "|u1")
    with pytest.raises(UserError, match="a.npz cannot be read"):
        load_data(DataConfig(source=f"npz:{path}", levels=4))


def test_a_picture_is_never_a_program(tmp_path):
    # PostScript, which PIL would have Ghostscript run, whatever the name of the file.
    path = tmp_path / "photo.png"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n")
    with pytest.raises(UserError, match="photo.png .*not an image"):
        photos.read_images(path, (4, 4, 1), 4)
    for read in (
        lambda path: image_reading.inspect(path, ImageRules()),
        lambda path: image_reading.read(path, 0, 1, ImageRules()),
    ):
        with pytest.raises(image_reading.READ_ERRORS) as caught:
            read(path)
        assert image_reading.why_unreadable(path, caught.value) == "not an image"


def test_data_sets_of_communities_are_not_run():
    with pytest.raises(UserError, match="of a community, whose code would be run"):
        load_data(DataConfig(source="tfds:someone:mnist", levels=4))
