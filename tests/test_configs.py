"""Presets, and changes to them from the command line."""

import contextlib
import dataclasses
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import types
from pathlib import Path

import keras
import pytest

import gated_pixelcnn as gpc
from gated_pixelcnn import configs, data
from gated_pixelcnn.cli import train as script
from gated_pixelcnn.configs import flat, schema
from gated_pixelcnn.configs.preset import Preset
from gated_pixelcnn.configs.training import CHANGEABLE, TrainConfig
from gated_pixelcnn.data import preprocessing
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.registry import FAMILIES
from gated_pixelcnn.runs.build import build_model
from gated_pixelcnn.training import train as training

ROOT = Path(__file__).parents[1]
PRESETS = gpc.list_presets()


@pytest.mark.parametrize(
    "name",
    [
        *("pixelcnn_pp_cifar10", "pixelcnn_pp_cifar10_192", "grayscale_cifar10"),
        *("pyramid_cifar10", "vae_cifar10", "agave_cifar10"),
    ],
)
def test_cifar10_as_in_papers_of_2017_and_2018_is_50000_images_without_clipping(name):
    config = gpc.get_config(name)
    assert (config.data.validation, config.train.clip_norm) == (0, 0.0)


@pytest.mark.parametrize("name", [n for n in PRESETS if n.startswith("agave")])
def test_agave_has_no_free_bits(name):
    assert gpc.get_config(name).model.free_bits == 0.0


def test_the_presets_are_listed_with_the_default_first():
    modules = (
        importlib.import_module(f"{configs.__name__}.{m.name}")
        for m in pkgutil.iter_modules(configs.__path__)
    )
    found = {k for m in modules for k, v in vars(m).items() if isinstance(v, Preset)}
    assert PRESETS == ["demo", *sorted(found - {"demo"})]
    assert len(found) > 40
    assert gpc.get_config() == gpc.get_config("demo")


@contextlib.contextmanager
def without_values():
    """Variables made in it have shapes but no values: big models are counted at once."""
    with keras.StatelessScope(initialize_variables=False):
        yield
    # Keras has a list of them, and would draw all values when the next such scope ends.
    keras.utils.clear_session(free_memory=False)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_built_with_the_size_and_parameters_that_it_tells(name):
    preset, config = configs.PRESETS[name], gpc.get_config(name)
    assert config.description == preset.description != ""
    TrainConfig(**config.train)
    if config.data.source.startswith("npz:"):  # the user's
        info = data.DataInfo(preset.image_shape, config.data.levels, 0, ())
    else:
        info = data.describe(data.DataConfig(**config.data))
    with without_values():
        model = build_model(config, info.image_shape, info.levels, info.num_classes)
    assert (model.image_shape, model.count_params()) == (preset.image_shape, preset.parameters)


def test_a_preset_is_one_of_one_data_set():
    assert sum(len(configs.presets_of(file)) for file in configs.DATA_SETS) == len(configs.PRESETS)


def test_a_variant_keeps_what_it_does_not_change_but_a_model_of_another_family_nothing():
    preset = configs.PRESETS["demo"]
    small = preset.variant("Small", parameters=7, model={"features": 3}, data={"grayscale": True})
    assert small.model == preset.model | {"features": 3}
    assert small.data == preset.data | {"grayscale": True} and small.train == preset.train
    assert (small.description, small.parameters, small.expected) == ("Small", 7, "")
    assert small.image_shape == preset.image_shape
    other = small.variant("Other", parameters=8, model={"family": "vae", "blocks": 2})
    assert other.model == {"family": "vae", "blocks": 2} and other.data == small.data
    same = other.variant("Same", parameters=9, model={"family": "vae", "latents": 3})
    assert same.model == {"family": "vae", "blocks": 2, "latents": 3}


def test_the_pyramid_of_celeba_has_the_sizes_and_the_crop_of_the_paper():
    config = gpc.get_config("pyramid_celeba")
    shape = preprocessing.prepared_shape((218, 178, 3), data.DataConfig(**config.data))
    arguments = config.model.to_dict()
    model = FAMILIES[arguments.pop("family")](shape, **arguments)
    assert [spec.shape[0] for spec in model.stages] == [8, 16, 32, 64, 128]
    while hasattr(model, "prior"):
        assert (model.conditional.features, model.conditional.scales) == (100, 1)
        model = model.prior


def test_imagenet32_is_the_model_and_the_training_of_the_paper():
    config = gpc.get_config("imagenet32")
    model, train = config.model, config.train
    assert (model.layers, model.features, model.kernel_size) == (20, 384, 5)
    assert (train.batch_size, train.steps) == (128, 200_000)


@pytest.mark.parametrize("name", ["diagonal_bilstm_mnist", "pixelcnn_mnist", "row_lstm_mnist"])
def test_families_of_2016a_have_one_size_and_training_for_mnist(name):
    config, other = gpc.get_config(name), gpc.get_config("diagonal_bilstm_mnist")
    sizes = (config.model.layers, config.model.features, config.model.head_features)
    assert (*sizes, config.model.likelihood) == (7, 16, 32, "bernoulli")
    assert config.train == other.train and config.data == other.data


def test_defaults_are_those_of_the_classes():
    config = schema.defaults()
    for section, kind in (("data", data.DataConfig), ("train", TrainConfig)):
        assert dict(config[section]) == {f.name: f.default for f in dataclasses.fields(kind)}
    family = FAMILIES["gated_pixelcnn"]
    own = {
        name: parameter.default
        for name, parameter in inspect.signature(family.__init__).parameters.items()
        if parameter.default is not parameter.empty and name != "levels"
    }
    assert own.items() <= dict(config.model).items()
    assert {"likelihood", "condition", "components"} <= set(config.model)
    assert not {"levels", "image_shape", "condition_size", "name"} & set(config.model)


def test_the_changeable_keys_exist():
    assert set(CHANGEABLE) <= {field.name for field in dataclasses.fields(TrainConfig)}


def test_overrides_are_read_by_the_type_of_the_key():
    overrides = [
        "model.features=96",
        "train.learning_rate=1",
        "data.flips=true",
        "model.likelihood=mixture",
        "model.condition=label",
        "data.source=folder:a=b",
        "data.values=bytes",  # a name that a ConfigDict has itself
        "seed=7",
    ]
    config = gpc.get_config("cifar10", overrides)
    assert config.model.features == 96 and config.seed == 7
    assert config.train.learning_rate == 1.0 and isinstance(config.train.learning_rate, float)
    assert config.data.flips is True
    assert config.model.likelihood == "mixture" and config.model.condition == "label"
    assert config.data.source == "folder:a=b" and config.data["values"] == "bytes"
    assert gpc.get_config("digits").model.condition == "label"
    assert gpc.get_config("digits", ["model.condition=none"]).model.condition is None


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        ("cifar", None, r"no preset 'cifar'; did you mean 'cifar10'\?"),
        ("nowhere.py", None, "no configuration file nowhere.py"),
        (
            "digits",
            "model.featurs=3",
            r"no configuration key 'model.featurs'; did you mean 'model.f",
        ),
        ("digits", "features=3", r"'features'; did you mean 'model.features'\?"),
        ("digits", "model=3", "'model' is a section"),
        ("digits", "model.features=many", "model.features must be of type int, but is 'many'"),
        ("digits", "model.features=1.5", "model.features must be of type int, but is '1.5'"),
        ("digits", "train.learning_rate=fast", "train.learning_rate must be of type float"),
        ("digits", "data.flips=maybe", "data.flips must be of type bool"),
        ("digits", "model.features", "--config.model.features needs a value"),
        ("digits", "model.family=other", "model.family belongs to the preset"),
    ],
)
def test_a_wrong_name_key_or_type_is_one_sentence(name, override, message):
    with pytest.raises(UserError, match=message):
        gpc.get_config(name, [override] if override else [])


def test_a_file_is_a_configuration_like_a_preset(tmp_path):
    path = tmp_path / "mine.py"
    text = "import gated_pixelcnn as gpc\n\ndef get_config():\n"
    text += "    config = gpc.get_config('digits')\n    config.{} = {}\n    return config\n"
    path.write_text(text.format("model.features", 12))
    assert gpc.get_config(str(path), ["seed=3"]).model.features == 12
    for key, value in (("model.featurs", 12), ("model.features", "'x'"), ("seed", "(")):
        path.write_text(text.format(key, value))
        with pytest.raises(UserError, match="mine.py has an error") as error:
            gpc.get_config(str(path))
        assert "FieldReference" not in str(error.value) and len(str(error.value)) < 300


@pytest.mark.parametrize(
    "returned",
    [
        "{'model': {'features': 12}, 'train': {'learning_rate': 1}}",
        "ConfigDict({'model': {'features': 12}, 'train': {'learning_rate': 1}})",
        "dict(seed=0, model=dict(features=12, head_features=None), train={'learning_rate': 1.0})",
    ],
)
def test_what_a_file_leaves_out_has_its_default(tmp_path, returned):
    path = tmp_path / "mine.py"
    path.write_text(
        f"from ml_collections import ConfigDict\ndef get_config():\n    return {returned}\n"
    )
    expected = schema.defaults()
    expected.model.features, expected.train.learning_rate = 12, 1.0
    config = gpc.get_config(str(path))
    assert config == expected and isinstance(config.train.learning_rate, float)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import nowhere_at_all", "No module named 'nowhere_at_all' .line 1"),
        ("def get_config():\n    return configg", "NameError: name 'configg' .* .line 2"),
        ("x = 1", "no function get_config"),
        ("def get_config():\n    return None", "a ConfigDict or a dict, but this is None"),
        (
            "def get_config():\n    return {'model': {'featurs': 1}}",
            "did you mean 'model.features'",
        ),
        ("def get_config():\n    return {'train': 3}", "'train' is a section"),
        ("def get_config():\n    return {'model': {'family': 'x'}}", "model.family is 'x'"),
        ("def get_config():\n    return {'model': {'features': 'x'}}", "model.features must be of"),
        ("def get_config():\n    return {'model': {'features': None}}", "must be of type int"),
        ("def get_config():\n    return {'model': {'features': True}}", "must be of type int"),
    ],
)
def test_an_error_in_a_file_is_one_sentence(tmp_path, body, message):
    path = tmp_path / "mine.py"
    path.write_text(body + "\n")
    with pytest.raises(UserError, match=f"mine.py has an error: .*{message}"):
        gpc.get_config(str(path))


def test_an_unknown_family_is_one_sentence():
    config = gpc.get_config("digits").unlock()
    config.model.family = "pixelsnail"
    with pytest.raises(UserError, match="model.family is 'pixelsnail'"):
        build_model(config)


def test_the_work_directory_is_named_after_the_preset_unless_given(monkeypatch, tmp_path):
    result = types.SimpleNamespace(step=1, stopped_by="steps", best_loss=None)
    for name, given, expected in (
        ("imagenet32", None, "runs/imagenet32"),
        (str(tmp_path / "mine.py"), None, "runs/mine"),
        ("digits", "here", "here"),
    ):
        (tmp_path / "mine.py").write_text("get_config = dict\n")
        used = []
        monkeypatch.setattr(
            training, "train", lambda config, path, *_, used=used: used.append(path) or result
        )
        values = types.SimpleNamespace(
            config=name,
            workdir=given,
            list_presets=False,
            markdown=False,
            strategy="auto",
            cpu_devices=None,
            allow_changes=False,
        )
        monkeypatch.setattr(script, "FLAGS", values)
        monkeypatch.setattr(sys, "argv", ["train.py"])
        assert script.main(["train.py"]) == 0
        assert used == [expected]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "adm"}, r"train.optimizer is 'adm'; did you mean 'adam'\?"),
        ({"schedule": "step"}, "train.schedule is 'step'; choose from"),
        ({"batch_size": 0}, "train.batch_size must be at least 1, but is 0"),
        ({"learning_rate": float("nan")}, "train.learning_rate must be above 0, but is nan"),
        ({"ema_decay": 1.0}, "train.ema_decay must be at least 0 and below 1"),
        ({"decay": 1.5}, "train.decay must be above 0 and at most 1"),
        ({"final_fraction": -0.1}, "train.final_fraction must be between 0 and 1"),
        ({"warmup_steps": -1}, "train.warmup_steps must be 0 or more"),
        ({"accumulation": 0}, "train.accumulation must be at least 1, but is 0"),
        ({"precision": "float16"}, "train.precision is 'float16'; did you mean"),
        ({"jit": "yes"}, "train.jit is 'yes'; choose from auto, on, off"),
        ({"jit": "on", "deterministic": True}, "exclude each other"),
    ],
)
def test_a_training_value_out_of_its_range_is_one_sentence(changes, message):
    with pytest.raises(UserError, match=message):
        TrainConfig(**changes)


def test_a_model_takes_its_shape_from_the_data_unless_told_otherwise():
    config = gpc.get_config("digits", ["model.features=4", "model.layers=1"])
    model = gpc.build_model(config)
    assert (model.image_shape, model.levels, model.condition_size) == ((8, 8, 1), 16, 10)
    config = gpc.get_config("digits", ["model.condition=none", "model.features=6"])
    model = gpc.build_model(config, image_shape=(5, 7, 3), levels=4)
    assert (model.image_shape, model.levels, model.condition_size) == ((5, 7, 3), 4, 0)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.layers=0", "config.model: layers"),
        ("model.features=-4", "config.model: .*features"),
        ("model.likelihood=gauss", "config.model: .*likelihood"),
        ("data.labels=false", "needs labels.*set model.condition=none"),
    ],
)
def test_a_model_that_cannot_be_built_is_one_sentence(override, message):
    with pytest.raises(UserError, match=message):
        build_model(gpc.get_config("digits", [override]))


def test_every_key_of_a_preset_is_of_a_type_that_a_flag_can_have():
    for key, value in flat(gpc.get_config("digits")).items():
        assert isinstance(value, str | int | float | bool | None), key


def run_script(*arguments, **options):
    command = [sys.executable, ROOT / "train.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_the_script_ends_with_one_line_and_exit_code_1():
    result = run_script("--config=digits", "--config.model.featurs=3", "--workdir=unused")
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr == (
        "error: there is no configuration key 'model.featurs'; did you mean 'model.features'?\n"
    )


def test_the_script_lists_the_presets_with_their_sizes():
    result = run_script("--list_presets")
    assert result.returncode == 0, result.stderr
    _, *lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == PRESETS
    for line in lines:
        name, source, *_ = line.split()
        config = gpc.get_config(name)
        assert source == config.data.source and line.endswith(config.description)
        assert config.expected in line
    digits = next(line for line in lines if line.startswith("digits"))
    model = gpc.build_model(gpc.get_config("digits"))
    assert "8x8x1" in digits and f"{model.count_params():,}" in digits


def test_the_script_lists_the_presets_without_importing_tensorflow(tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('imported')")
    result = run_script("--list_presets", env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"})
    assert result.returncode == 0, result.stderr


def test_the_page_of_the_presets_is_what_the_script_prints(tmp_path):
    page = run_script("--list_presets", "--markdown").stdout
    assert page == (ROOT / "docs" / "presets.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, re.M) == list(configs.PRESETS)
    example = tmp_path / "mine.py"
    example.write_text(re.search("```python\n(.*?)```", page, re.S)[1])
    assert gpc.get_config(str(example)).model.features == 96


def test_the_script_says_that_markdown_is_of_the_list():
    result = run_script("--markdown", "--config=nowhere.py")
    assert result.returncode == 1
    assert result.stderr == "error: --markdown needs --list_presets\n"
