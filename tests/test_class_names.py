"""Names of classes: public, kept wherever a model goes, and taken in the place of labels."""

import json
import zipfile

import keras
import numpy as np
import pytest
from families import MAIN, build, images_of
from runs import config
from scripts import call

import gated_pixelcnn as gpc
from gated_pixelcnn.cli import evaluate, sample
from gated_pixelcnn.errors import UserError

NAMES = ("10", "salt, pepper", "Bag")


def named(family="gated_pixelcnn", **arguments):
    model = build(family, condition="label", condition_size=3, condition_names=NAMES, **arguments)
    model.build()
    return model


def test_names_stand_for_labels():
    model = named()
    images, labels = images_of(model), np.array([2, 0, 1, 2, 2, 0])
    names = [NAMES[label] for label in labels]
    for condition in (names, tuple(names), np.array(names), np.array(names, object)):
        np.testing.assert_array_equal(
            model.log_prob(images, condition), model.log_prob(images, labels)
        )
    np.testing.assert_array_equal(
        model.sample(condition=names, jit=False), model.sample(condition=labels, jit=False)
    )
    found = gpc.evaluate(model, images, names, batch_size=4)["log_probs"]
    np.testing.assert_allclose(found, model.log_prob(images, labels), rtol=1e-5)


def test_a_single_name_is_that_of_all_images():
    model = named()
    images = images_of(model)
    bags = np.full(6, 2)
    np.testing.assert_array_equal(model.log_prob(images, "Bag"), model.log_prob(images, bags))
    assert model.sample(condition="bag", jit=False).shape[0] == 1
    np.testing.assert_array_equal(
        model.sample(6, "bag", jit=False), model.sample(condition=bags, jit=False)
    )
    given = {"given": images, "known": np.zeros((4, 4, 1), bool), "jit": False}
    assert model.sample(condition="bag", **given).shape[0] == 6


def test_a_name_with_accents_is_found_in_whatever_form_they_are_written():
    composed, taken_apart = "caf\u00e9", "cafe\u0301"  # the latter as macOS names files
    model = build(condition="label", condition_size=2, condition_names=(taken_apart, "tea"))
    assert model.condition_spec.numbered([composed, composed.upper(), "tea"]).tolist() == [0, 0, 1]


def test_names_that_no_class_has_are_refused():
    model = named()
    for call_ in (
        lambda name: model.sample(condition=name),
        lambda name: model.log_prob(images_of(model, 1), [name]),
    ):
        with pytest.raises(ValueError, match="no class 'bags'; did you mean 'Bag'"):
            call_("bags")
    with pytest.raises(ValueError, match="its classes have no names"):
        build(condition="label", condition_size=3).sample(condition="bag")
    with pytest.raises(ValueError, match="takes no condition"):
        build().sample(condition="bag")
    model.condition_names = ("a", "A", "b")
    assert model.condition_spec.numbered(["A", "a", "B"]).tolist() == [1, 0, 2]
    model.condition_names = ("a", "a", "b")
    with pytest.raises(ValueError, match="2 classes are called 'a'"):
        model.sample(condition="a")


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", 3), ("a", "b", "c", "d")])
def test_there_is_a_name_for_every_class(names):
    with pytest.raises(ValueError, match="condition_names must be the names of the 3 classes"):
        build(condition="label", condition_size=3, condition_names=names)
    with pytest.raises(ValueError, match="of the 0 classes"):
        build(condition_names=names)


@pytest.mark.parametrize("family", ["gated_pixelcnn", "auxiliary"])
def test_names_are_in_the_keras_file(family, tmp_path):
    model = named(family)
    model.save(tmp_path / "model.keras")
    assert gpc.load(tmp_path / "model.keras").class_names == NAMES
    assert keras.saving.load_model(tmp_path / "model.keras").class_names == NAMES
    unnamed = build(family, condition="label", condition_size=3)
    unnamed.build()
    unnamed.save(tmp_path / "unnamed.keras")
    assert gpc.load(tmp_path / "unnamed.keras").class_names == ()


@pytest.mark.parametrize("names", [[1, 2, 3], ["a"], "abcd", {"a": 1}, 7])
def test_names_in_a_keras_file_are_not_trusted(names, tmp_path):
    named().save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        contents = {entry: archive.read(entry) for entry in archive.namelist()}
    saved = json.loads(contents["config.json"])
    saved["config"]["condition_names"] = names
    contents["config.json"] = json.dumps(saved)
    with zipfile.ZipFile(tmp_path / "wrong.keras", "w") as archive:
        for entry, content in contents.items():
            archive.writestr(entry, content)
    with pytest.raises(UserError):
        gpc.load(tmp_path / "wrong.keras")


def test_names_come_from_the_data_and_go_with_the_run_and_its_export(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 16, (12, 8, 8, 1)).astype(np.uint8)
    arrays = {"x_train": images, "y_train": np.arange(12) % 3, "class_names": np.array(NAMES)}
    np.savez(tmp_path / "data.npz", **arrays)
    changes = ["train.steps=1", "train.samples=0", "train.batch_size=4", "data.validation=0"]
    settings = config(f"data.source=npz:{tmp_path / 'data.npz'}", *changes)
    assert gpc.build_model(settings).class_names == NAMES
    run = tmp_path / "run"
    gpc.train(settings, run)
    model = gpc.load(run)
    served = gpc.load_saved_model(gpc.export(run, warm_up=False))
    assert model.class_names == served.class_names == NAMES
    np.testing.assert_array_equal(served.sample(2, "bag"), served.sample(2, [2, 2]))

    def labels(text):
        output = [f"--output={tmp_path / 'x.png'}", f"--npz={tmp_path / 'x.npz'}", "--nojit"]
        call(sample, monkeypatch, f"--workdir={run}", f"--label={text}", "--num=3", *output)
        return np.load(tmp_path / "x.npz")["labels"].tolist()

    assert labels("salt, pepper") == [1, 1, 1]
    assert labels("bag,salt, pepper,10") == [2, 1, 0]  # a name before a number
    with pytest.raises(UserError, match="named by numbers that are not their labels"):
        labels("2,1")

    # The classes of the run's own images are found by their names, too.
    def evaluated():
        call(evaluate, monkeypatch, f"--workdir={run}", "--split=train", "--json", "--nobaselines")
        return json.loads(capsys.readouterr().out)["bits_per_dim"]

    capsys.readouterr()
    wanted = evaluated()
    other_order = {"y_train": 2 - np.arange(12) % 3, "class_names": np.array(NAMES[::-1])}
    np.savez(tmp_path / "data.npz", **arrays | other_order)
    with pytest.warns(UserWarning, match="are not those that the run was trained on"):
        assert evaluated() == wanted
    renamed = {"class_names": np.array(["10", "salt, pepper", "purse"])}
    np.savez(tmp_path / "data.npz", **arrays | renamed)
    with pytest.raises(UserError, match="was not trained on the class 'purse'"):
        evaluated()


def test_only_models_with_labels_have_names():
    assert all(build(family).class_names == () for family in MAIN if family not in OTHERS)


OTHERS = ("embedding", "mse_autoencoder")  # they are conditioned on nothing
