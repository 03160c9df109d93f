import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from absl import flags
from PIL import Image

import gated_pixelcnn as gpc
from gated_pixelcnn import evaluation, visualization
from gated_pixelcnn.cli import evaluate, sample
from gated_pixelcnn.cli.labels import parse_labels
from gated_pixelcnn.data import DataConfig, load
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation import BitsPerDim, report

ROOT = Path(__file__).parents[1]
UNCONDITIONAL = SimpleNamespace(condition_kind=None)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Directory of a small model of the digits, conditioned on the class."""
    workdir = tmp_path_factory.mktemp("runs") / "digits"
    changes = ["train.steps=60", "train.warmup_steps=0", "train.samples=0"]
    changes += ["model.layers=2", "model.features=8"]
    gpc.train(gpc.get_config("digits", changes), workdir)
    return workdir


def call(script, monkeypatch, *arguments):
    """Runs a script in this process, with flags of its own."""
    values = flags.FlagValues()
    monkeypatch.setattr(script, "FLAGS", values)
    script.define_flags()
    script.main(values(["script", *arguments]))


def read_npz(path):
    with np.load(path) as archive:
        return dict(archive)


@pytest.fixture
def draw(run, tmp_path, monkeypatch):
    """Function that runs sample.py and returns the arrays of its npz file."""

    def draw(*arguments):
        call(
            sample,
            monkeypatch,
            f"--workdir={run}",
            f"--npz={tmp_path / 'drawn.npz'}",
            f"--output={tmp_path / 'drawn.png'}",
            *arguments,
        )
        return read_npz(tmp_path / "drawn.npz")

    return draw


# evaluate.py


def test_json_is_the_evaluation_of_the_test_images(run, monkeypatch, capsys, tmp_path):
    csv = tmp_path / "new" / "images.csv"
    call(evaluate, monkeypatch, f"--workdir={run}", "--json", f"--csv={csv}", "--batch_size=7")
    found = json.loads(capsys.readouterr().out)
    test = load(DataConfig(source="embedded:digits8", levels=16)).test
    expected = evaluation.evaluate(gpc.load(run), test.images, test.labels)
    for key in ("bits_per_dim", "standard_error", "nats", "num_images", "bits_per_channel"):
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-5)
    assert found["baselines"]["uniform"] == 4
    assert set(found["baselines"]) == {"uniform", "histogram", "gaussian", "png", "webp"}

    table = np.loadtxt(csv, delimiter=",", skiprows=1)
    assert csv.read_text().startswith("image,nats,bits_per_dim\n0,")
    np.testing.assert_array_equal(table[:, 0], np.arange(test.num_images))
    np.testing.assert_allclose(table[:, 1], -expected["log_probs"], rtol=1e-4)
    np.testing.assert_allclose(table[:, 2].mean(), found["bits_per_dim"], rtol=1e-5)


def test_baselines_are_of_the_images_that_the_model_is_evaluated_on(run, monkeypatch, capsys):
    def histogram(*arguments):
        call(evaluate, monkeypatch, f"--workdir={run}", "--json", *arguments)
        found = json.loads(capsys.readouterr().out)
        return found["num_images"], found["baselines"]["histogram"]

    few, many = histogram("--num_images=5"), histogram("--split=validation")
    assert few[0] == 5 and many[0] > 5
    assert few[1] != many[1]


def test_table_shows_the_model_beside_the_baselines(run, monkeypatch, capsys):
    call(evaluate, monkeypatch, f"--workdir={run}", "--num_images=20")
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


def test_other_images_that_fit_can_be_evaluated(run, monkeypatch, capsys, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8)).astype(np.uint8)
    arrays = {"x_train": pixels, "x_test": pixels, "y_train": np.arange(30) % 10}
    np.savez(tmp_path / "other.npz", y_test=np.arange(30) % 10, **arrays)
    source = f"npz:{tmp_path / 'other.npz'}"
    call(evaluate, monkeypatch, f"--workdir={run}", "--json", f"--source={source}")
    found = json.loads(capsys.readouterr().out)
    assert (found["source"], found["num_images"]) == (source, 30)

    np.savez(tmp_path / "other.npz", **(arrays | {"y_train": np.arange(30)}), y_test=np.arange(30))
    with pytest.raises(UserError, match="has 30 classes, but the model was trained on 10"):
        call(evaluate, monkeypatch, f"--workdir={run}", f"--source={source}")
    np.savez(tmp_path / "other.npz", x_train=pixels, x_test=pixels)
    with pytest.raises(UserError, match="conditioned on the label, but .* has no labels"):
        call(evaluate, monkeypatch, f"--workdir={run}", f"--source={source}")


def test_labels_of_other_images_are_found_by_name(run, monkeypatch, capsys, tmp_path):
    test = load(DataConfig(source="embedded:digits8", levels=16)).test

    def bits(names, labels):
        arrays = {"x_train": test.images, "x_test": test.images}
        arrays |= {"y_train": labels, "y_test": labels, "class_names": np.array(names)}
        np.savez(tmp_path / "a.npz", **arrays)
        source = f"--source=npz:{tmp_path / 'a.npz'}"
        call(
            evaluate,
            monkeypatch,
            f"--workdir={run}",
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


def test_missing_split_names_those_that_exist(run, monkeypatch, tmp_path):
    pixels = np.arange(8 * 64).astype(np.uint8).reshape(8, 8, 8)
    np.savez(tmp_path / "a.npz", x_train=pixels, y_train=np.arange(8))  # too few for validation
    with pytest.raises(UserError, match="has no test images; choose --split=train$"):
        source = f"--source=npz:{tmp_path / 'a.npz'}"
        call(evaluate, monkeypatch, f"--workdir={run}", source)


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("csv", []),
        ("output", ["--label=1"]),
        ("npz", ["--label=1", "--output={tmp}/a.png"]),
        ("gif", ["--label=1", "--output={tmp}/a.png"]),
    ],
)
def test_file_that_cannot_be_written_is_found_before_the_work(
    run, monkeypatch, tmp_path, name, arguments
):
    def work(*args, **kwargs):
        pytest.fail("the work was begun")

    monkeypatch.setattr(BitsPerDim, "evaluate", work)
    monkeypatch.setattr(sample, "draw", work)
    path = f"/dev/null/a.{name.replace('output', 'png')}"
    arguments = [argument.format(tmp=tmp_path) for argument in arguments]
    with pytest.raises(UserError, match=f"cannot write {path}"):
        script = evaluate if name == "csv" else sample
        call(script, monkeypatch, f"--workdir={run}", f"--{name}={path}", *arguments)
    assert not list(tmp_path.iterdir())


def test_value_that_is_not_finite_is_reported(run, monkeypatch):
    def broken(*args, **kwargs):
        raise FloatingPointError("the log-probability of image 3 is nan")

    monkeypatch.setattr(BitsPerDim, "evaluate", broken)
    with pytest.raises(UserError, match="image 3 is nan"):
        call(evaluate, monkeypatch, f"--workdir={run}")


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
def test_mistake_in_evaluate_is_one_clear_sentence(run, monkeypatch, arguments, message):
    with pytest.raises(UserError, match=message):
        call(evaluate, monkeypatch, f"--workdir={run}", "--nobaselines", *arguments)


# sample.py


def test_same_seed_gives_same_images_whatever_the_batch_and_the_compiler(draw):
    whole = draw("--label=0,1,2", "--num=11", "--seed=5")
    assert whole["images"].shape == (11, 8, 8, 1) and whole["images"].max() < 16
    np.testing.assert_array_equal(whole["labels"], np.arange(11) % 3)
    for arguments in (["--batch_size=4"], ["--batch_size=1"], ["--nojit", "--batch_size=5"]):
        cut = draw("--label=0,1,2", "--num=11", "--seed=5", *arguments)
        np.testing.assert_array_equal(cut["images"], whole["images"])
    other = draw("--label=0,1,2", "--num=11", "--seed=6")
    assert (other["images"] != whole["images"]).mean() > 0.5
    assert len(np.unique(whole["images"], axis=0)) == 11


def test_all_labels_get_a_row_each(draw, tmp_path):
    drawn = draw("--label=all", "--num=20")
    np.testing.assert_array_equal(drawn["labels"], np.arange(20) % 10)
    with Image.open(tmp_path / "drawn.png") as grid:
        width, height = 2 * 98 + 2, 10 * 98 + 2  # Every pixel is a square of 12 x 12.
        assert grid.size[1] == height
        shown = np.asarray(grid)[:, -width:]
        names = np.array_split(np.asarray(grid)[:, :-width], 10)
    assert all(name.max() > 200 for name in names)
    for i, image in enumerate(visualization.to_bytes(drawn["images"], 16)):
        top, left = 2 + 98 * (i % 10), 2 + 98 * (i // 10)
        np.testing.assert_array_equal(
            shown[top : top + 96 : 12, left : left + 96 : 12], image[..., 0]
        )


def test_low_temperature_draws_likelier_images(draw, run):
    model = gpc.load(run)
    drawn = [draw("--label=1", f"--temperature={t}")["images"] for t in (0.2, 1.0)]
    nats = [np.mean(model.log_prob(batch, np.ones(16, int))) for batch in drawn]
    assert nats[0] > nats[1] + 1


def test_completions_keep_the_rows_and_stand_beside_what_was_given(draw, tmp_path):
    given = load(DataConfig(source="embedded:digits8", levels=16)).test.images[:2]
    np.savez(tmp_path / "given.npz", images=given, levels=16)
    files = [f"--given={tmp_path / 'given.npz'}", "--keep_rows=5"]
    drawn = draw("--label=3", *files, "--num=6", "--batch_size=3")
    assert drawn["images"].shape == (6, 8, 8, 1)
    np.testing.assert_array_equal(drawn["images"][:, :5], given[np.arange(6) % 2, :5])
    assert len(np.unique(drawn["images"], axis=0)) == 6
    with Image.open(tmp_path / "drawn.png") as grid:
        assert grid.size == (4 * 98 + 2, 2 * 98 + 2)
        shown = np.asarray(grid)
    for row in range(2):
        left = shown[2 + 98 * row : 98 + 98 * row : 12, 2:98:12]
        np.testing.assert_array_equal(left[:5], visualization.to_bytes(given[row, :5, :, 0], 16))
        assert (left[5:] == visualization.UNDRAWN).all()
        first = shown[2 + 98 * row : 98 + 98 * row : 12, 100:196:12]
        np.testing.assert_array_equal(
            first, visualization.to_bytes(drawn["images"][row, ..., 0], 16)
        )


def test_mask_says_which_pixels_are_kept(draw, tmp_path):
    kept = np.random.default_rng(0).random((8, 8)) < 0.5
    given = np.full((8, 8), 255, np.uint8)
    Image.fromarray(given).save(tmp_path / "given.png")
    Image.fromarray(kept.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    files = [f"--given={tmp_path / 'given.png'}", f"--mask={tmp_path / 'mask.png'}"]
    drawn = draw("--label=3", *files)["images"]
    assert drawn.shape == (4, 8, 8, 1)
    assert (drawn[:, kept] == 15).all() and (drawn[:, ~kept] != 15).any()


def test_gif_grows_to_the_finished_grid(draw, tmp_path):
    draw("--label=3", "--num=4", f"--gif={tmp_path / 'drawn.gif'}")
    with Image.open(tmp_path / "drawn.gif") as gif, Image.open(tmp_path / "drawn.png") as grid:
        assert gif.n_frames == 65
        gif.seek(64)
        np.testing.assert_array_equal(np.asarray(gif.convert("L")), np.asarray(grid))


def test_grid_goes_to_the_run_by_default(run, monkeypatch, capsys):
    call(sample, monkeypatch, f"--workdir={run}", "--label=1", "--num=2")
    path = run / "samples" / "sample.png"
    assert path.is_file()
    out = capsys.readouterr().out
    assert str(path) in out and "2 images in" in out


def test_labels_are_numbers_or_names():
    model = SimpleNamespace(condition_kind="label", condition_size=3)
    names = ["Shirt", "Ankle boot", "Bag"]
    assert parse_labels("2", model, names) == [2]
    assert parse_labels("bag, 0,Ankle boot", model, names) == [2, 0, 1]
    assert parse_labels("all", model) == [0, 1, 2]
    assert parse_labels(None, UNCONDITIONAL) is None
    with pytest.raises(UserError, match="--label: Bax is .*did you mean 'Bag'"):
        parse_labels("Bax", model, names)


def test_numbers_that_name_other_classes_are_no_labels():
    model = SimpleNamespace(condition_kind="label", condition_size=3)
    assert parse_labels("1,10", model, ["1", "2", "10"]) == [0, 2]
    for text in ("0", "01"):
        with pytest.raises(UserError, match="named by numbers that are not their labels: give nam"):
            parse_labels(text, model, ["1", "2", "10"])
    assert parse_labels("2,01", model, ["0", "1", "2"]) == [2, 1]
    for text in ("+1", "1_0", "\u0663"):
        with pytest.raises(UserError, match="is neither a number 0…2 nor the name of a class"):
            parse_labels(text, model, ["a", "b", "c"])


@pytest.mark.parametrize("text", [None, "", ",", " , "])
def test_a_label_that_is_missing_is_one_clear_sentence(text):
    model = SimpleNamespace(condition_kind="label", condition_size=3)
    with pytest.raises(UserError, match="conditioned on the class: give --label=0…2"):
        parse_labels(text, model)


@pytest.mark.parametrize(
    "model, message",
    [
        (UNCONDITIONAL, "--label is not possible: this model was trained without labels"),
        (SimpleNamespace(condition_kind="vector", condition_size=3), "conditioned on a vector"),
    ],
)
def test_label_for_a_model_that_takes_none_is_an_error(model, message):
    with pytest.raises(UserError, match=message):
        parse_labels("1", model)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "conditioned on the class: give --label=0…9, .* or --label=all"),
        (["--label=10"], "--label: 10 is out of range: the classes are 0…9"),
        (["--label=-1"], "--label: -1 is out of range"),
        (["--label=1,two"], "--label: two is neither a number 0…9 nor the name of a class"),
        (["--label=1", "--num=0"], "--num must be at least 1, got 0"),
        (["--label=1", "--batch_size=0"], "--batch_size must be at least 1"),
        (["--label=1", "--seed=-1"], "--seed must be at least 0"),
        (["--label=1", f"--seed={2**63}"], "--seed must be .* at most 2.63 - 1, got 92233"),
        (["--label=1", "--temperature=0"], "--temperature must be above 0 .*, got 0.0"),
        (["--label=1", "--temperature=nan"], "--temperature must be above 0 .*, got nan"),
        (["--label=1", "--temperature=1e-60"], "--temperature must be .*1e-06 to .*, got 1e-60"),
        (["--label=1", "--temperature=1e60"], r"--temperature must be .* to 1e\+06.*, got 1e\+60"),
        (["--label=1", "--given=a.png"], "--given needs either --keep_rows or --mask"),
        (["--label=1", "--given=a.png", "--keep_rows=1", "--mask=b.png"], "needs either"),
        (["--label=1", "--given=absent.png", "--keep_rows=1"], "there is no file absent.png"),
        (["--label=1", "--keep_rows=1"], "--keep_rows and --mask need --given"),
        (["--label=1", "--mask=b.png"], "--keep_rows and --mask need --given"),
        (["--label=1", "--resize"], "--resize needs images: one of --given, --like"),
        (["--label=1", "--output=a.jpg"], "--output must end in .png, got a.jpg"),
        (["--label=1", "--npz=a"], "--npz must end in .npz"),
        (["--label=1", "--gif=a.png"], "--gif must end in .gif"),
        (["--label=1", "--num=1", "--output=/dev/null/a.png"], "cannot write /dev/null/a.png"),
        (["--label=1", "--workdir=absent"], "absent is not the work directory of a run"),
    ],
)
def test_mistake_in_sample_is_one_clear_sentence(run, monkeypatch, arguments, message):
    with pytest.raises(UserError, match=message):
        call(sample, monkeypatch, f"--workdir={run}", *arguments)


@pytest.mark.parametrize("rows", [-1, 9])
def test_keep_rows_must_fit_the_image(run, monkeypatch, tmp_path, rows):
    Image.new("L", (8, 8)).save(tmp_path / "given.png")
    with pytest.raises(UserError, match=f"--keep_rows must be 0…8, got {rows}"):
        files = [f"--given={tmp_path / 'given.png'}", f"--keep_rows={rows}"]
        call(sample, monkeypatch, f"--workdir={run}", "--label=1", *files)


# The scripts themselves.


def script(name, *arguments):
    return subprocess.run(
        [sys.executable, ROOT / name, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def test_scripts_print_results_only(run, tmp_path):
    done = script("evaluate.py", f"--workdir={run}", "--json", "--num_images=10")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["num_images"] == 10
    done = script("sample.py", f"--workdir={run}", "--label=all", f"--output={tmp_path / 'a.png'}")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.png").is_file()


def test_mistake_ends_a_script_with_one_line_and_exit_code_1(tmp_path):
    done = script("sample.py", f"--workdir={tmp_path}", "--num=2")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert "is not the work directory of a run" in done.stderr


@pytest.mark.parametrize("name", ["evaluate.py", "sample.py"])
def test_help_tells_the_purpose_and_the_flags(name):
    done = script(name, "--help")
    assert f"python {name} --workdir=runs/a" in done.stdout
    assert "--batch_size" in done.stdout
