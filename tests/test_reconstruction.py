"""Autoencoders side by side: the one trained for the squared error, and figure 6 of 2016b."""

import json

import numpy as np
import pytest
from PIL import Image
from scripts import call, read_npz
from test_mse_autoencoder import LEVELS, NAMES, SHAPE, photos, random_weights, write_source

import gated_pixelcnn as gpc
from gated_pixelcnn import data, evaluation, visualization
from gated_pixelcnn.cli import evaluate, sample
from gated_pixelcnn.cli.tasks.reconstruct import Block, Reconstructions
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation import BitsPerDim, report
from gated_pixelcnn.runs.checkpoints import Checkpoints, named, values
from gated_pixelcnn.runs.directory import RunDirectory, record
from gated_pixelcnn.serving import export


@pytest.fixture(scope="module", name="source")
def make_source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("data"))


AUTOENCODER = ["model.condition=image", "model.encoder_features=4"]
RUNS = {
    "ae2": ("demo", [*AUTOENCODER, "model.code_size=2"]),
    "ae3": ("demo", [*AUTOENCODER, "model.code_size=3"]),
    "mse2": ("mse_autoencoder10", ["model.code_size=2"]),
    "mse4": ("mse_autoencoder10", ["model.code_size=4"]),
    "none": ("demo", ["model.condition=none"]),
    "label": ("demo", ["model.condition=label"]),
    "binary": ("demo", ["model.condition=none", "data.levels=2"]),
    "embedding": ("face_embedding", ["data.levels=16"]),
}


@pytest.fixture(scope="module", name="runs")
def make_runs(tmp_path_factory, source):
    """Work directories of models that were not trained: their weights are random."""
    directory = tmp_path_factory.mktemp("runs")
    for name, (preset, changes) in RUNS.items():
        changes = [*changes, f"data.source=npz:{source}"]
        if preset == "demo":
            sizes = ["features=4", "layers=2", "kernel_size=3", "spatial_features=0"]
            changes = [f"model.{size}" for size in sizes] + changes
        config = gpc.get_config(preset, changes)
        labelled = config.model.get("condition") == "label"
        sizes = (SHAPE, config.data.levels, 2 if labelled else 0)
        model = random_weights(gpc.build_model(config, *sizes))
        with RunDirectory(directory / name) as run:
            names = NAMES[::-1] if labelled else NAMES
            run.write_config(record(config, *sizes, names, found={"values": "levels"}))
        checkpoints = Checkpoints(run.checkpoints)
        checkpoints.save_best(values(named("weights", model.weights)), {"step": 1, "loss": 1.0})
    return directory


# evaluate.py


def evaluated(monkeypatch, capsys, *arguments):
    call(evaluate, monkeypatch, *arguments)
    return capsys.readouterr().out


def test_evaluation_tells_the_error_beside_that_of_the_mean_training_image(
    runs, monkeypatch, capsys
):
    workdir = f"--workdir={runs / 'mse2'}"
    options = ["--num_images=7", "--batch_size=3"]
    found = json.loads(evaluated(monkeypatch, capsys, workdir, *options, "--json"))
    images = photos()
    config = RunDirectory(runs / "mse2").read_config()["config"]
    train = data.load(data.DataConfig(**config.data)).train.images
    assert len(train) == 10, "one of the 11 is held out"
    mean = ((train.mean(axis=0) / 15 - images[:7] / 15) ** 2).mean()
    assert found["baselines"] == {"mean_image": pytest.approx(mean)}
    reconstruction = np.asarray(gpc.load(runs / "mse2")(images[:7]))
    errors = ((reconstruction - images[:7] / 15) ** 2).mean(axis=(1, 2, 3))
    assert found["mse"] == pytest.approx(errors.mean(), rel=1e-5)
    assert found["standard_error"] == pytest.approx(errors.std(ddof=1) / np.sqrt(7), rel=1e-4)
    assert found["psnr"] == pytest.approx(10 * np.log10(1 / errors.mean()), rel=1e-5)
    assert (found["code_size"], found["num_images"]) == (2, 7)
    out = evaluated(monkeypatch, capsys, workdir, *options)
    assert "7 test images of npz:" in out and "8x8x1 with 16 levels" in out
    row = next(line for line in out.splitlines() if line.startswith("  code of 2 "))
    assert f"{found['mse']:.5f}" in row and f"{found['psnr']:.2f}" in row and "±" in row
    row = next(line for line in out.splitlines() if line.startswith("  mean image "))
    assert f"{found['baselines']['mean_image']:.5f}" in row
    assert "mean image" not in evaluated(monkeypatch, capsys, workdir, "--nobaselines")


def test_other_runs_stand_beside_the_model_with_their_bits_of_the_same_images(
    runs, monkeypatch, capsys, tmp_path
):
    images, labels = photos(), np.arange(11) % 2
    beside = [f"--beside={runs / name}" for name in ("none", "label", "ae2")]
    arguments = [f"--workdir={runs / 'ae3'}", "--nobaselines", "--num_images=9", *beside]
    found = json.loads(evaluated(monkeypatch, capsys, *arguments, "--json", "--batch_size=4"))
    wanted = {
        "ae3": (found["bits_per_dim"], None),
        "none": (found["beside"][str(runs / "none")], None),
        "label": (found["beside"][str(runs / "label")], 1 - labels[:9]),  # by its own names
        "ae2": (found["beside"][str(runs / "ae2")], images[:9]),
    }
    for name, (bits, condition) in wanted.items():
        score = evaluation.evaluate(gpc.load(runs / name), images[:9], condition)
        assert bits == pytest.approx(score["bits_per_dim"], rel=1e-5), name
    other = evaluation.evaluate(gpc.load(runs / "label"), images[:9], labels[:9])
    assert abs(other["bits_per_dim"] - wanted["label"][0]) > 1e-3
    assert set(found["beside_is_lower_bound"].values()) == {False}
    lines = [line.split() for line in evaluated(monkeypatch, capsys, *arguments).splitlines()]
    for name, (bits, _) in list(wanted.items())[1:]:
        assert [f"…{str(runs / name)[-18:]}", f"{bits:.4f}"] in lines
    # As it is given, where that is short.
    monkeypatch.chdir(runs)
    short = evaluated(monkeypatch, capsys, *arguments[:2], "--beside=none", "--num_images=9")
    assert ["none", f"{wanted['none'][0]:.4f}"] in [line.split() for line in short.splitlines()]


def test_a_bound_beside_the_model_is_marked():
    result = {"num_images": 1, "split": "test", "source": "a", "image_shape": [2, 2, 1]}
    result |= {"levels": 2, "bits_per_dim": 1.0, "standard_error": None, "nats": 1.0}
    result |= {"bits_per_channel": [1.0], "images_per_second": 1.0, "is_lower_bound": False}
    result |= {"beside": {"a": 2.0, "b": 3.0}, "beside_is_lower_bound": {"a": False, "b": True}}
    lines = report.of_bits(result).splitlines()
    marked = [line.split() for line in lines if "at most" in line]
    assert marked == [["b", "at", "most", "3.0000"]]


@pytest.mark.parametrize(
    ("workdir", "arguments", "message"),
    [
        ("mse2", ["--beside={runs}/none"], "--beside is not possible: .* the squared error, which"),
        ("mse2", ["--classify"], "--classify is not possible: .* gives images no probability"),
        ("mse2", ["--csv={tmp}/a.csv"], "--csv is not possible: this run is of an autoencoder"),
        ("embedding", ["--csv={tmp}/a.csv"], "--csv is not possible: this run is of an embedding"),
        ("embedding", ["--beside={runs}/none"], "--beside is not possible: .* an embedding, which"),
        (
            "none",
            ["--beside={runs}/mse2"],
            "--beside=.*mse2: this run is of an autoencoder trained",
        ),
        ("none", ["--beside={runs}/embedding"], "--beside=.*: this run is of an embedding, which"),
        ("none", ["--beside={tmp}"], "--beside=.*: .* is not the work directory of a run"),
        ("none", ["--beside="], "--beside=: . is not the work directory of a run"),
        (
            "none",
            ["--beside={runs}/binary"],
            "--beside=.*binary: this run is of images of 8x8x1 with 2 levels, but the model was .* "
            "8x8x1 with 16 levels",
        ),
        (
            "none",
            ["--beside={runs}/label", "--source=npz:{tmp}/plain.npz"],
            "--beside=.*label: the model is conditioned on the label, but npz:.* has no labels",
        ),
        (
            "none",
            ["--beside={runs}/label", "--source=npz:{tmp}/three.npz"],
            "--beside=.*label: npz:.*three.npz has 3 classes, but the model was trained on 2",
        ),
        (
            "none",
            ["--beside={runs}/label", "--source=npz:{tmp}/hats.npz"],
            "--beside=.*label: the model was not trained on the class 'hat'",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_one_clear_sentence(
    runs, monkeypatch, tmp_path, workdir, arguments, message
):
    def work(*args, **kwargs):
        pytest.fail("the work was begun")

    monkeypatch.setattr(BitsPerDim, "evaluate", work)
    images = photos()
    arrays = {"x_train": images, "x_test": images}
    np.savez(tmp_path / "plain.npz", **arrays)
    for name, classes in (("three", ["a", "b", "c"]), ("hats", ["bag", "hat"])):
        labels = np.arange(11) % len(classes)
        labelled = arrays | {"y_train": labels, "y_test": labels}
        np.savez(tmp_path / f"{name}.npz", class_names=np.array(classes), **labelled)
    arguments = [argument.format(runs=runs, tmp=tmp_path) for argument in arguments]
    with pytest.raises(UserError, match=message):
        call(evaluate, monkeypatch, f"--workdir={runs / workdir}", *arguments)
    assert not (tmp_path / "a.csv").exists()


# sample.py --reconstruct


@pytest.fixture(name="draw")
def make_draw(runs, tmp_path, monkeypatch):
    """Runs sample.py on some runs; returns what it saved and the cells of the picture."""

    def draw(names, *arguments, num=3):
        np.savez(tmp_path / "some.npz", images=photos(num, seed=5))
        first, *others = names
        files = [f"--npz={tmp_path / 'drawn.npz'}", f"--output={tmp_path / 'drawn.png'}"]
        call(
            sample,
            monkeypatch,
            *([f"--workdir={runs / first}"] if first else []),
            *(f"--beside={runs / name}" for name in others),
            f"--reconstruct={tmp_path / 'some.npz'}",
            "--nojit",
            *files,
            *arguments,
        )
        return read_npz(tmp_path / "drawn.npz"), cells_of(tmp_path / "drawn.png")

    return draw


def cells_of(path):
    """The cells [rows, columns, 8, 8] of a picture whose pixels are squares of 12×12."""
    with Image.open(path) as picture:
        array = np.asarray(picture)
    rows = array.shape[0] // 98
    names = array.shape[1] % 98 - 2  # the margin is narrower than a cell
    array = array[2:, names + 2 :]
    array = array.reshape(rows, 98, -1, 98).swapaxes(1, 2)
    return array[:, :, :96:12, :96:12]


def test_every_code_size_and_image_has_a_row_of_what_the_models_make_of_it(runs, draw):
    saved, cells = draw(["ae3", "mse2", "ae2"], "--seed=7")
    images = photos(3, seed=5)
    turn = np.arange(12)
    drawn = {
        size: gpc.load(runs / f"ae{size}").sample(
            condition=images[turn % 3], example_seeds=turn, seed=7, jit=False
        )
        for size in (2, 3)
    }
    single = gpc.load(runs / "mse2").reconstruct(images)
    assert np.ptp(single) > 5 and (single[0] != single[1]).any()
    assert set(saved) == {"originals", "mse_2", "pixelcnn_2", "pixelcnn_3"}
    np.testing.assert_array_equal(saved["originals"], images)
    np.testing.assert_array_equal(saved["mse_2"], single)
    assert cells.shape == (6, 6, 8, 8)
    for block, size in enumerate((2, 3)):
        np.testing.assert_array_equal(saved[f"pixelcnn_{size}"], drawn[size])
        for row in range(3):
            wanted = [images[row], single[row], *np.asarray(drawn[size])[row::3]]
            wanted = visualization.to_bytes(np.stack(wanted)[..., 0], LEVELS)
            if size == 3:  # no run for the squared error
                wanted[1] = visualization.UNDRAWN
            np.testing.assert_array_equal(cells[3 * block + row], wanted)


@pytest.fixture(name="captions")
def make_captions(monkeypatch):
    """The names that are written beside the rows of pictures, as they are written."""
    names, captioned = [], visualization.captioned
    monkeypatch.setattr(
        visualization, "captioned", lambda grid, rows: names.extend(rows) or captioned(grid, rows)
    )
    return names


def test_rows_tell_their_code_size(draw, captions):
    draw(["ae2", "mse4"], num=2)
    assert captions == ["m = 2", "m = 2", "m = 4", "m = 4"]


def test_classes_without_a_row_are_not_named(runs, captions, monkeypatch, tmp_path):
    output = f"--output={tmp_path / 'a.png'}"
    for num, names in ((1, ["boot"]), (3, ["boot", "bag"])):
        captions.clear()
        few = ["--label=all", f"--num={num}", "--nojit", output]
        call(sample, monkeypatch, f"--workdir={runs / 'label'}", *few)
        assert captions == names


def test_a_model_alone_reconstructs_as_it_draws_images_like_others(
    runs, draw, tmp_path, monkeypatch
):
    saved, cells = draw(["ae2"], "--num=7", "--batch_size=3")
    assert cells.shape == (3, 4, 8, 8)
    assert (cells[1:, 3] == visualization.UNDRAWN).all() and (
        cells[0, 3] != visualization.UNDRAWN
    ).any()
    files = [f"--npz={tmp_path / 'like.npz'}", f"--output={tmp_path / 'like.png'}"]
    like = f"--like={tmp_path / 'some.npz'}"
    call(sample, monkeypatch, f"--workdir={runs / 'ae2'}", like, "--num=7", "--nojit", *files)
    np.testing.assert_array_equal(saved["pixelcnn_2"], read_npz(tmp_path / "like.npz")["images"])


def test_a_row_of_a_code_size_without_a_pixelcnn_has_the_single_reconstruction(runs, draw):
    saved, cells = draw(["ae2", "mse4"], "--num=2")
    assert set(saved) == {"originals", "mse_4", "pixelcnn_2"}
    single = gpc.load(runs / "mse4").reconstruct(photos(2, seed=5))
    assert cells.shape == (4, 3, 8, 8), "--num=2 takes two of the three images"
    np.testing.assert_array_equal(cells[2:, 1], visualization.to_bytes(single[..., 0], LEVELS))
    assert (cells[2:, 2] == visualization.UNDRAWN).all() and (
        cells[:2, 1] == visualization.UNDRAWN
    ).all()


def test_of_very_many_images_the_first_are_taken_with_a_warning(draw):
    with pytest.warns(UserWarning, match="only the first 32 of the 40 images of .*some.npz"):
        saved, cells = draw(["ae2"], "--num=40", num=40)
    np.testing.assert_array_equal(saved["originals"], photos(40, seed=5)[:32])
    assert len(saved["pixelcnn_2"]) == 40 and cells.shape[:2] == (32, 3)


def test_the_animation_ends_with_the_picture(draw, tmp_path):
    draw(["ae2", "mse2"], "--num=2", f"--gif={tmp_path / 'drawn.gif'}", num=1)
    with Image.open(tmp_path / "drawn.gif") as gif, Image.open(tmp_path / "drawn.png") as picture:
        first = np.asarray(gif.convert("L"))
        gif.seek(gif.n_frames - 1)
        np.testing.assert_array_equal(np.asarray(gif.convert("L")), np.asarray(picture))
    assert (first != np.asarray(picture)).any()


def test_an_exported_model_reconstructs_like_its_run(runs, draw, tmp_path):
    path = export(runs / "ae2", tmp_path / "versions", warm_up=False)
    found, cells = draw([None, "mse2"], f"--saved_model={path}", "--num=3")
    wanted, _ = draw(["ae2", "mse2"], "--num=3")
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])
    assert cells.shape == (3, 3, 8, 8)


@pytest.mark.parametrize(
    ("workdir", "arguments", "message"),
    [
        (
            "none",
            [],
            "--reconstruct is not possible: this model is neither conditioned on an image nor",
        ),
        (
            "label",
            [],
            "--reconstruct is not possible: this model is neither conditioned on an image nor",
        ),
        ("mse2", [], "the squared error, which has no images to draw .* given by --beside"),
        ("ae2", ["--label=0"], "--reconstruct names what to draw from itself: leave out --label"),
        ("ae2", ["--like={photos}"], "leave out --like"),
        ("ae2", ["--interpolate=a.png,b.png"], "leave out --interpolate"),
        ("ae2", ["--given={photos}", "--keep_rows=3"], "leave out --given"),
        ("ae2", ["--reconstruct=absent.png"], "there is no file absent.png"),
        ("ae2", ["--reconstruct={tmp}/empty"], "has no images; files that end in"),
        ("ae2", ["--reconstruct={tmp}/text.npz"], "text.npz cannot be read: .* not an npz file"),
        ("ae2", ["--reconstruct={tmp}/large.png"], "large.png is 9x9 pixels"),
        ("ae2", ["--beside={tmp}"], "--beside=.* is not the work directory of a run"),
        ("ae2", ["--beside={runs}/none"], "--beside=.*none: this run is not of an autoencoder"),
        ("ae2", ["--beside={runs}/embedding"], "embedding: this run is not of an autoencoder"),
        ("ae2", ["--beside={runs}/binary"], "--beside=.*binary: this run is of images of 8x8x1 wi"),
        ("ae2", ["--beside={runs}/ae2"], "a PixelCNN autoencoder with a code of 2 numbers is th"),
        (
            "ae2",
            ["--beside={runs}/mse2", "--beside={runs}/mse2"],
            "mse2: an autoencoder for the squared error with a code of 2 numbers is there already",
        ),
        ("ae2", ["--reconstruct=", "--beside={runs}/mse2"], "--beside needs --reconstruct"),
    ],
)
def test_what_cannot_be_reconstructed_is_one_clear_sentence(
    runs, source, monkeypatch, tmp_path, workdir, arguments, message
):
    def work(*args, **kwargs):
        pytest.fail("the work was begun")

    monkeypatch.setattr(sample, "draw", work)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.npz").write_text("text")
    Image.new("L", (9, 9)).save(tmp_path / "large.png")
    arguments = [a.format(runs=runs, photos=source, tmp=tmp_path) for a in arguments]
    output = f"--output={tmp_path / 'a.png'}"
    with pytest.raises(UserError, match=message):
        files = [f"--reconstruct={source}", output]
        call(sample, monkeypatch, f"--workdir={runs / workdir}", *files, *arguments)
    assert not (tmp_path / "a.png").exists()


def test_fewer_images_than_rows_leave_cells_gray_beside_single_reconstructions():
    originals = photos(3, seed=1)
    blocks = {1: Block(model=object()), 2: Block(single=(originals, originals))}
    wanted = Reconstructions(
        6, np.arange(6), 3, shown=originals[:, None], originals=originals, blocks=blocks
    )
    cells = wanted.first(2).cells(originals[:2])  # as after Ctrl-C
    drawn, single = np.split(cells, 2)
    np.testing.assert_array_equal(drawn[:2, 2], originals[:2])
    np.testing.assert_array_equal(single[:, 1], originals)
    for undrawn in (drawn[:, 1], drawn[2, 2], single[:, 2]):
        assert (undrawn == visualization.UNDRAWN).all()
