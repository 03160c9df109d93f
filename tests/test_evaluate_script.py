"""evaluate.py: the table, JSON, other images, mistakes."""

import json

import numpy as np
import pytest
from scripts import call

import gated_pixelcnn as gpc
from gated_pixelcnn import evaluation
from gated_pixelcnn.cli import evaluate
from gated_pixelcnn.data import DataConfig, load
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation import BitsPerDim, report


def test_json_is_the_evaluation_of_the_test_images(digits, monkeypatch, capsys, tmp_path):
    csv = tmp_path / "new" / "images.csv"
    call(evaluate, monkeypatch, f"--workdir={digits}", "--json", f"--csv={csv}", "--batch_size=7")
    found = json.loads(capsys.readouterr().out)
    test = load(DataConfig(source="embedded:digits8", levels=16)).test
    expected = evaluation.evaluate(gpc.load(digits), test.images, test.labels)
    for key in ("bits_per_dim", "standard_error", "nats", "num_images", "bits_per_channel"):
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-5)
    assert found["baselines"]["uniform"] == 4
    assert set(found["baselines"]) == {"uniform", "histogram", "gaussian", "png", "webp"}

    table = np.loadtxt(csv, delimiter=",", skiprows=1)
    assert csv.read_text().startswith("image,nats,bits_per_dim\n0,")
    np.testing.assert_array_equal(table[:, 0], np.arange(test.num_images))
    np.testing.assert_allclose(table[:, 1], -expected["log_probs"], rtol=1e-4)
    np.testing.assert_allclose(table[:, 2].mean(), found["bits_per_dim"], rtol=1e-5)


def test_baselines_are_of_the_images_that_the_model_is_evaluated_on(digits, monkeypatch, capsys):
    def histogram(*arguments):
        call(evaluate, monkeypatch, f"--workdir={digits}", "--json", *arguments)
        found = json.loads(capsys.readouterr().out)
        return found["num_images"], found["baselines"]["histogram"]

    few, many = histogram("--num_images=5"), histogram("--split=validation")
    assert few[0] == 5 and many[0] > 5
    assert few[1] != many[1]


def test_table_shows_the_model_beside_the_baselines(digits, monkeypatch, capsys):
    call(evaluate, monkeypatch, f"--workdir={digits}", "--num_images=20")
    out = capsys.readouterr().out
    assert "20 test images of embedded:digits8, 8x8x1 with 16 levels" in out
    for word in (
        "model",
        "±",
        "uniform",
        "4.0000",
        "histograms",
        "Gaussian",
        "PNG",
        "WebP",
        "nats",
        "images/s",
    ):
        assert word in out


def test_table_names_the_colours_and_a_bound():
    table = report.of_bits(
        {
            "num_images": 1,
            "split": "test",
            "source": "embedded:tiles32",
            "image_shape": [32, 32, 3],
            "levels": 256,
            "bits_per_dim": 3.0,
            "standard_error": None,
            "bits_per_channel": [4.0, 3.0, 2.0],
            "nats": 6000.0,
            "images_per_second": 1.0,
            "is_lower_bound": True,
        }
    )
    lines = {line.split()[0]: line for line in table.splitlines() if line}
    assert "4.0000" in lines["red"] and "2.0000" in lines["blue"]
    assert "at most" in lines["model"] and "±" not in table and "uniform" not in table


def test_other_images_that_fit_can_be_evaluated(digits, monkeypatch, capsys, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8)).astype(np.uint8)
    arrays = {"x_train": pixels, "x_test": pixels, "y_train": np.arange(30) % 10}
    np.savez(tmp_path / "other.npz", y_test=np.arange(30) % 10, **arrays)
    source = f"npz:{tmp_path / 'other.npz'}"
    call(evaluate, monkeypatch, f"--workdir={digits}", "--json", f"--source={source}")
    found = json.loads(capsys.readouterr().out)
    assert (found["source"], found["num_images"]) == (source, 30)

    np.savez(tmp_path / "other.npz", **(arrays | {"y_train": np.arange(30)}), y_test=np.arange(30))
    with pytest.raises(UserError, match="has 30 classes, but the model was trained on 10"):
        call(evaluate, monkeypatch, f"--workdir={digits}", f"--source={source}")
    np.savez(tmp_path / "other.npz", x_train=pixels, x_test=pixels)
    with pytest.raises(UserError, match="conditioned on the label, but .* has no labels"):
        call(evaluate, monkeypatch, f"--workdir={digits}", f"--source={source}")


def test_labels_of_other_images_are_found_by_name(digits, monkeypatch, capsys, tmp_path):
    test = load(DataConfig(source="embedded:digits8", levels=16)).test

    def bits(names, labels):
        arrays = {"x_train": test.images, "x_test": test.images}
        arrays |= {"y_train": labels, "y_test": labels, "class_names": np.array(names)}
        np.savez(tmp_path / "a.npz", **arrays)
        source = f"--source=npz:{tmp_path / 'a.npz'}"
        call(
            evaluate,
            monkeypatch,
            f"--workdir={digits}",
            "--json",
            "--nobaselines",
            source,
            "--values=levels",
        )
        return json.loads(capsys.readouterr().out)["bits_per_dim"]

    in_order = bits([str(label) for label in range(10)], test.labels)
    assert bits([str(9 - label) for label in range(10)], 9 - test.labels) == in_order
    with pytest.raises(UserError, match=r"not trained on the class 'Bag' of npz.*\(1 of its 10"):
        bits([*"012345678", "Bag"], test.labels)


def test_classes_are_mapped_by_name_and_numbers_are_labels_where_the_model_has_words():
    words, numbers = ["Shirt", "Bag", "Coat"], ["0", "1", "2"]
    assert evaluate.map_labels(["coat", "Shirt"], words, "a") == [2, 0]
    assert evaluate.map_labels(["0", "1"], words, "a", named=False) == [0, 1]
    assert evaluate.map_labels(["0", "1"], numbers, "a") == [0, 1]
    assert evaluate.map_labels(["0", "1"], numbers, "a", named=False) == [0, 1]
    assert evaluate.map_labels(["2", "1"], numbers, "a") == [2, 1]
    assert evaluate.map_labels(["a", "a"], ["a", "a"], "a") == [0, 1]
    for names, known in [
        (["Bags"], words),
        (["Shirt"], numbers),
        (["0", "1"], words),
        (["0", "1"], ["1", "3"]),
        (["Ab"], ["ab", "AB"]),
    ]:
        with pytest.raises(UserError, match=f"not trained on the class '{names[0]}' of a "):
            evaluate.map_labels(names, known, "a")
    for known in (["1", "3"], ["1", "0"], ["1", "Bag"]):
        with pytest.raises(UserError, match="labels of a are numbers without names, but"):
            evaluate.map_labels(["0", "1"], known, "a", named=False)


def test_missing_split_names_those_that_exist(digits, monkeypatch, tmp_path):
    pixels = np.arange(8 * 64).astype(np.uint8).reshape(8, 8, 8)
    np.savez(tmp_path / "a.npz", x_train=pixels, y_train=np.arange(8))  # too few for validation
    with pytest.raises(UserError, match="has no test images; choose --split=train$"):
        source = f"--source=npz:{tmp_path / 'a.npz'}"
        call(evaluate, monkeypatch, f"--workdir={digits}", source)


def test_value_that_is_not_finite_is_reported(digits, monkeypatch):
    def broken(*args, **kwargs):
        raise FloatingPointError("the log-probability of image 3 is nan")

    monkeypatch.setattr(BitsPerDim, "evaluate", broken)
    with pytest.raises(UserError, match="image 3 is nan"):
        call(evaluate, monkeypatch, f"--workdir={digits}")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--split=trian"], "--split must be one of test, validation, train, got 'trian'"),
        (["--batch_size=0"], "--batch_size must be at least 1, got 0"),
        (["--num_images=-1"], "--num_images must be at least 1, got -1"),
        (["--source=embedded:tiles32"], "32x32x3 with 16 levels, but .* 8x8x1 with 16 levels"),
        (["--source=npz:absent.npz"], "absent.npz"),
        (["--csv=/dev/null/a.csv"], "cannot write /dev/null/a.csv"),
        (["--csv=/"], "cannot write / "),
        (["--workdir="], "--workdir is missing"),
        (["--workdir=absent"], "absent is not the work directory of a run"),
        (["runs/a"], "unexpected argument 'runs/a'"),
    ],
)
def test_mistake_in_evaluate_is_one_clear_sentence(digits, monkeypatch, arguments, message):
    with pytest.raises(UserError, match=message):
        call(evaluate, monkeypatch, f"--workdir={digits}", "--nobaselines", *arguments)
