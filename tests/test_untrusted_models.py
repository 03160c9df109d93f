"""`.keras` files of strangers: nothing in them is run, and what is wrong with them is told."""

import io
import json
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
from malicious import IMAGES, lambda_that_makes, pickled, refused, small_model

import gated_pixelcnn as gpc


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


@pytest.fixture(scope="module", name="model")
def make_model():
    return small_model()


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


def test_a_file_of_another_version_is_told(saved):
    def renamed(config):
        return config | {"registered_name": "gated_pixelcnn>GatedPixelCNN"}

    edit(saved, renamed)
    refused(saved, "it holds a 'GatedPixelCNN' of another version of this package")


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
        "registered_name": "gated_pixelcnn>gated_pixelcnn",
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
    edit(saved, weights=replaced("head/hidden/vars/bias", make))
    refused(saved, message)
