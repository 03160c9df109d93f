"""Paths: `~`, URLs, and names with blanks, commas, quotes and other letters, in every place."""

import os
from pathlib import Path

import numpy as np
import pytest
from absl import flags
from PIL import Image
from runs import config
from scripts import call, read_npz

import gated_pixelcnn as gpc
from gated_pixelcnn import paths
from gated_pixelcnn.cli import evaluate, export, sample, train
from gated_pixelcnn.data import DataConfig
from gated_pixelcnn.data import load as load_data
from gated_pixelcnn.errors import UserError

ODD = "my runs, 'ä' \"b\" $c #d"
URLS = ["gs://bucket/x", "s3://bucket/x", "http://host/x.npz", "file:///tmp/x", "hdfs://a/b"]


def run_train(monkeypatch, *arguments):
    values = flags.FlagValues()
    argv = ["train.py", *arguments]
    monkeypatch.setattr(train, "FLAGS", values)
    monkeypatch.setattr(train.sys, "argv", argv)
    for kind in ("string", "integer", "bool"):  # which define global flags there
        define = getattr(flags, f"DEFINE_{kind}")
        monkeypatch.setattr(
            train.flags,
            f"DEFINE_{kind}",
            lambda *a, define=define, **k: define(*a, **{"flag_values": values} | k),
        )
    train.define_flags(argv)
    train.main(values(argv)[:1])


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home directory with a run, images and a configuration in a directory of an odd name."""
    home = tmp_path_factory.mktemp("home")
    place = home / ODD
    place.mkdir()
    gpc.train(config("train.steps=2", "train.samples=0", "train.eval_every=0"), place / "run, one")
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8)).astype(np.uint8)
    for index, image in enumerate(images):
        (place / f"class, {index}").mkdir()
        Image.fromarray(image).save(place / f"class, {index}" / f"é, {index}.png")
    np.savez(place / "data.npz", x_train=images)
    (place / "preset.py").write_text("def get_config():\n    return {'train': {'steps': 3}}\n")
    return home


@pytest.fixture(autouse=True)
def at_home(home, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    yield
    assert not [name for name in os.listdir(tmp_path) if "~" in name or ":" in name]


def test_home_and_odd_names_in_every_flag_of_sample(home, monkeypatch):
    image = f"~/{ODD}/class, 0/é, 0.png"
    for arguments in (
        ["--label=3", f"--output=~/{ODD}/o.png", f"--npz=~/{ODD}/o.npz", f"--gif=~/{ODD}/o.gif"],
        [f"--given={image}", f"--mask={image}", "--label=3", f"--npz=~/{ODD}/o.npz"],
    ):
        how = ["--num=1", "--nojit"]
        call(sample, monkeypatch, f"--workdir=~/{ODD}/run, one", *how, *arguments)
        assert read_npz(home / ODD / "o.npz")["images"].shape == (1, 8, 8, 1)
    for name in ("o.png", "o.gif", "run, one/samples/sample.png"):
        assert (home / ODD / name).is_file()


def test_home_and_odd_names_in_every_flag_of_export_and_evaluate(home, monkeypatch):
    run = f"~/{ODD}/run, one"
    how = ["--nobaselines", "--num_images=4"]
    call(evaluate, monkeypatch, f"--workdir={run}", f"--beside={run}", f"--csv={run}.csv", *how)
    assert len((home / ODD / "run, one.csv").read_text().splitlines()) == 5
    call(export, monkeypatch, f"--workdir={run}", f"--output=~/{ODD}/served", "--nowarm_up")
    assert (home / ODD / "served/1/saved_model.pb").is_file()
    call(evaluate, monkeypatch, f"--saved_model=~/{ODD}/served", *how)
    gpc.load_saved_model(f"~/{ODD}/served")


def test_home_and_odd_names_in_training(home, monkeypatch):
    start, source = f"~/{ODD}/run, one", f"npz:~/{ODD}/data.npz"
    settings = ["train.steps=1", "train.samples=0", "data.validation=0", f"train.init_from={start}"]
    gpc.train(config(*settings), f"~/{ODD}/two")
    assert gpc.load(Path("~") / ODD / "two").built
    assert load_data(DataConfig(source=source)).image_shape == (8, 8, 1)
    assert DataConfig(source=f"folder:~/{ODD}").parsed_source() == ("folder", str(home / ODD))
    assert gpc.get_config(f"~/{ODD}/preset.py").train.steps == 3
    overrides = ["--config.train.steps=1", "--config.train.samples=0"]
    run_train(monkeypatch, "--config=digits", f"--workdir=~/{ODD}/three", *overrides)
    assert (home / ODD / "three" / "config.json").is_file()


@pytest.mark.parametrize("url", URLS)
def test_a_url_is_refused_wherever_a_path_is_taken(home, url, monkeypatch):
    run = f"--workdir={home / ODD / 'run, one'}"
    calls = [
        lambda: gpc.train(config(), url),
        lambda: gpc.train(config(f"train.init_from={url}"), home / "new"),
        lambda: gpc.load(url),
        lambda: gpc.export(url),
        lambda: gpc.export(home / ODD / "run, one", url),
        lambda: gpc.load_saved_model(url),
        lambda: gpc.get_config(f"{url}.py"),
        lambda: DataConfig(source=f"npz:{url}"),
        lambda: DataConfig(source=f"folder:{url}"),
        lambda: load_data(DataConfig(source="tfds:mnist", data_dir=url, download=False)),
        lambda: run_train(monkeypatch, f"--workdir={url}"),
        lambda: call(evaluate, monkeypatch, run, f"--csv={url}"),
        lambda: call(evaluate, monkeypatch, run, f"--source=npz:{url}"),
        lambda: call(export, monkeypatch, run, f"--output={url}"),
        *(
            lambda flag=flag: call(sample, monkeypatch, run, "--label=1", f"--{flag}={url}")
            for flag in (
                *("workdir", "saved_model", "prior", "like", "given", "mask", "colourise"),
                *("upscale", "reconstruct", "beside", "output", "npz", "gif"),
            )
        ),
    ]
    for refused in calls:
        with pytest.raises(UserError, match=f"{url}.* is a URL, but only files and directories"):
            refused()
    assert not (home / "new").exists()


def test_a_saved_model_is_not_written_where_tensorflow_would_not_find_it(home, tmp_path):
    for name in ("a[b]", "c*", "d?"):
        for refused in (
            gpc.load_saved_model,
            lambda path: gpc.export(home / ODD / "run, one", path),
        ):
            with pytest.raises(UserError, match="TensorFlow takes .* for a pattern"):
                refused(tmp_path / name)
        assert not (tmp_path / name).exists()


def test_a_path_is_text_or_a_path():
    assert paths.local(Path("a") / "b") == os.path.join("a", "b")
    assert paths.local("c:\\x") == "c:\\x"
    for wrong in (3, None, ["a"]):
        with pytest.raises(UserError, match="a path must be text"):
            paths.local(wrong)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a, b", ["a, b"]),
        ("c", ["c"]),
        ("c,d", ["c", "d"]),
        ("c, a, b,d", ["c", "a, b", "d"]),
        ("x, y", ["x", "y"]),
        (" c ,, d,", ["c", "d"]),
        ("", []),
    ],
)
def test_a_list_is_split_at_commas_that_are_not_in_names(text, names):
    assert paths.split_names(text, {"a, b", "c", "d"}.__contains__) == names
