"""Priors over codes, from an npz file to maps that are drawn, with and without Python."""

import json

import numpy as np
import pytest
from PIL import Image
from runs import OVERRIDES
from scripts import call, read_npz

import gated_pixelcnn as gpc
from gated_pixelcnn.cli import evaluate, export, sample
from gated_pixelcnn.data import photos
from gated_pixelcnn.errors import UserError

K = 300
ORDER = np.random.default_rng(5).permutation(K)


def maps(num, seed, order=None):
    """Maps 4×4 of codes that go up by 37 (modulo K) along a row, from one of four first ones."""
    random = np.random.default_rng(seed)
    first, columns = random.integers(0, 4, (num, 1, 1)), np.arange(4)
    codes = (first * 75 + 11 * np.arange(4)[:, np.newaxis] + 37 * columns) % K
    return codes if order is None else order[codes]


def settings(source, *more):
    changes = [f"data.source=npz:{source}", f"data.levels={K}", "model.values=categorical"]
    changes += ["model.condition=none", "model.embedding_size=8", "train.learning_rate=0.02"]
    return gpc.get_config("digits", [*OVERRIDES, *changes, "train.steps=150", *more])


@pytest.fixture(scope="module", name="trained")
def make_run(tmp_path_factory):
    """The work directory of a run, and the maps that it was tested with."""
    folder = tmp_path_factory.mktemp("codes")
    test = maps(40, 1)
    np.savez(folder / "codes.npz", x_train=maps(160, 0).astype(np.int64), x_test=test)
    gpc.train(settings(folder / "codes.npz", "train.samples=4"), folder / "run")
    return folder / "run", test


def test_a_run_knows_that_its_values_are_codes(trained):
    workdir, _ = trained
    record = json.loads((workdir / "config.json").read_text())
    assert (record["levels"], record["data"]["values"]) == (K, "levels")
    model = gpc.load(workdir)
    assert model.image_spec == gpc.ImageSpec((4, 4, 1), K, "categorical")


def test_codes_are_compared_with_their_frequencies(trained, monkeypatch, capsys):
    workdir, _ = trained
    call(evaluate, monkeypatch, f"--workdir={workdir}", "--json")
    result = json.loads(capsys.readouterr().out)
    baselines = result["baselines"]
    assert set(baselines) == {"uniform", "histogram", "unigram"}
    assert baselines["uniform"] == pytest.approx(np.log2(K))
    assert result["bits_per_dim"] < 0.7 * baselines["unigram"]


def test_an_export_says_of_codes_what_the_run_says(trained, tmp_path, monkeypatch, capsys):
    workdir, test = trained
    call(export, monkeypatch, f"--workdir={workdir}", f"--output={tmp_path / 'export'}")
    model, served = gpc.load(workdir), gpc.load_saved_model(tmp_path / "export")
    assert served.image_spec == model.image_spec
    images = test[..., np.newaxis]
    np.testing.assert_allclose(served.log_prob(images), model.log_prob(images), rtol=1e-5)
    np.testing.assert_array_equal(served.sample(5, seed=2), model.sample(5, seed=2))
    drawn = served.sample(2, given=images[:2], known=np.arange(4)[:, None, None] < 2)
    np.testing.assert_array_equal(drawn[:, :2], images[:2, :2])
    assert "log_prob_bytes" not in served.signatures  # a byte holds no 300 codes
    with pytest.raises(ValueError, match="0…299"):
        served.log_prob(images + K)


def test_maps_that_are_drawn_can_be_given_again_and_shown_in_tiles(trained, tmp_path, monkeypatch):
    workdir, _ = trained
    side = np.random.default_rng(0).integers(0, 256, (20 * 6, 15 * 6, 3)).astype(np.uint8)
    Image.fromarray(side).save(tmp_path / "tiles.png")
    where = [f"--workdir={workdir}", f"--output={tmp_path / 'a.png'}", "--nojit"]
    drawn = [*where, "--num=4", f"--npz={tmp_path / 'a.npz'}", f"--tiles={tmp_path / 'tiles.png'}"]
    call(sample, monkeypatch, *drawn, "--top_p=0.9", f"--gif={tmp_path / 'a.gif'}")
    saved = read_npz(tmp_path / "a.npz")
    assert saved["images"].dtype == np.uint16 and saved["levels"] == K
    grid = np.asarray(Image.open(tmp_path / "a.png"))
    magnify = 96 // 24
    cell = grid[2 : 2 + 24 * magnify : magnify, 2 : 2 + 24 * magnify : magnify]
    code = saved["images"][0, 1, 2, 0]
    row, column = 6 * (code // 15), 6 * (code % 15)
    np.testing.assert_array_equal(cell[6:12, 12:18], side[row : row + 6, column : column + 6])
    given = [f"--given={tmp_path / 'a.npz'}", "--keep_rows=3", f"--npz={tmp_path / 'b.npz'}"]
    call(sample, monkeypatch, *where, *given)
    again = read_npz(tmp_path / "b.npz")["images"]
    np.testing.assert_array_equal(again[:4, :3], saved["images"][:, :3])


def test_renumbered_codes_are_learned_as_well(trained, tmp_path):
    """The same initial weights but for the rows of the tables, which are as random."""
    workdir, test = trained
    arrays = {"x_train": maps(160, 0, ORDER), "x_test": maps(40, 1, ORDER)}
    np.savez(tmp_path / "codes.npz", **arrays)
    gpc.train(settings(tmp_path / "codes.npz"), tmp_path / "run")
    found = gpc.load(tmp_path / "run").log_prob(ORDER[test][..., np.newaxis])
    wanted = gpc.load(workdir).log_prob(test[..., np.newaxis])
    uniform = -16 * np.log(K)
    assert np.mean(found) > uniform / 2 and np.mean(wanted) > uniform / 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.image_size=2", "data.image_size=2 exclude each other"),
        ("data.values=bytes", "data.values=bytes exclude each other"),
        ("data.levels=290", r"integers 0..289, but is from 0 to 299: set data.levels=300"),
        ("data.levels=200", r"from 0 to 299: set data.levels=300 if they are codes"),
        ("model.likelihood=logistic", "values='categorical' needs likelihood='categorical'"),
    ],
)
def test_settings_that_codes_do_not_fit_are_refused(tmp_path, change, message):
    codes = np.append(maps(40, 0), [np.full((4, 4), K - 1), np.zeros((4, 4), int)], axis=0)
    np.savez(tmp_path / "codes.npz", x_train=codes)
    with pytest.raises(UserError, match=message):
        gpc.train(settings(tmp_path / "codes.npz", change), tmp_path / "run")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--given=photo.png", "--keep_rows=1", "--resize"], "--resize is of images"),
        (["--tiles=small.png"], "small.png has 8x8 pixels: no 300 square tiles"),
        (["--tiles=missing.png"], "missing.png cannot be used as tiles"),
        (["--top_p=0"], "top_p must be above 0"),
        (["--top_p=nan"], "top_p must be above 0"),
        (["--reduce_log_scale=nan"], "reduce_log_scale must be 0…100"),
        (["--given=codes.npz", "--keep_rows=1", "--values=bytes"], "--values=bytes is of images"),
    ],
)
def test_flags_that_codes_do_not_fit_are_refused(trained, tmp_path, monkeypatch, flags, message):
    workdir, test = trained
    monkeypatch.chdir(tmp_path)
    np.savez("codes.npz", images=test)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("small.png")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("photo.png")
    with pytest.raises(UserError, match=message):
        call(sample, monkeypatch, f"--workdir={workdir}", "--num=1", "--nojit", *flags)


def test_codes_are_never_taken_for_bytes_though_they_could_be(tmp_path, monkeypatch):
    codes = np.random.default_rng(0).integers(0, 10, (40, 4, 4))
    np.savez(tmp_path / "codes.npz", x_train=codes, x_test=codes, images=codes)
    how = ["data.levels=10", "train.steps=1"]
    gpc.train(settings(tmp_path / "codes.npz", *how), tmp_path / "run")
    flags = [f"--workdir={tmp_path / 'run'}", "--values=bytes"]
    given = [f"--given={tmp_path / 'codes.npz'}", "--keep_rows=1"]
    for script, more in ((sample, given), (evaluate, [f"--source=npz:{tmp_path / 'codes.npz'}"])):
        with pytest.raises(UserError, match="--values=bytes is of images: this model is of cat"):
            call(script, monkeypatch, *flags, *more)
    np.savez(tmp_path / "more.npz", x_train=codes + 3)
    with pytest.raises(UserError, match="up to 12, but .* levels 0..9.*raise data.levels"):
        gpc.train(settings(tmp_path / "more.npz", *how), tmp_path / "other")


def test_values_of_more_than_256_levels_are_never_bytes(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.full((1, 4, 4), 400))
    reading = photos.Reading(values="bytes", by_hand=True)
    with pytest.raises(UserError, match="at most 256 levels, but the model has 512"):
        photos.read_images(str(tmp_path / "a.npz"), (4, 4, 1), 512, reading)
