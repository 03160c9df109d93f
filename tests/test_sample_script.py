"""sample.py: images, files, mistakes."""

import numpy as np
import pytest
from PIL import Image
from scripts import call, read_npz

import gated_pixelcnn as gpc
from gated_pixelcnn import visualization
from gated_pixelcnn.cli import sample
from gated_pixelcnn.data import DataConfig, load
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.density_model import DensityModel


@pytest.fixture
def draw(digits, tmp_path, monkeypatch):
    """Function that runs sample.py and returns the arrays of its npz file."""

    def draw(*arguments):
        call(
            sample,
            monkeypatch,
            f"--workdir={digits}",
            f"--npz={tmp_path / 'drawn.npz'}",
            f"--output={tmp_path / 'drawn.png'}",
            *arguments,
        )
        return read_npz(tmp_path / "drawn.npz")

    return draw


def test_same_seed_gives_same_images_whatever_the_batch_and_the_compiler(draw):
    whole = draw("--label=0,1,2", "--num=11", "--seed=5")
    assert whole["images"].shape == (11, 8, 8, 1) and whole["images"].max() < 16
    np.testing.assert_array_equal(whole["labels"], np.arange(11) % 3)
    ways = (["--batch_size=4"], ["--batch_size=1"], ["--nojit", "--batch_size=5"])
    for arguments in (*ways, ["--nojit", "--method=rows"]):
        cut = draw("--label=0,1,2", "--num=11", "--seed=5", *arguments)
        np.testing.assert_array_equal(cut["images"], whole["images"])
    other = draw("--label=0,1,2", "--num=11", "--seed=6")
    assert (other["images"] != whole["images"]).mean() > 0.5
    assert len(np.unique(whole["images"], axis=0)) == 11


def test_xla_compiles_where_many_batches_are_drawn_or_it_is_asked_for(draw, monkeypatch):
    asked, sample_stages = [], DensityModel.sample_stages

    def remember(self, *arguments, jit, **how):
        asked.append(jit)
        return sample_stages(self, *arguments, jit=False, **how)

    monkeypatch.setattr(DensityModel, "sample_stages", remember)
    ways = ((4, [], False), (5, [], True), (1, ["--jit"], True), (5, ["--nojit"], False))
    for num, way, jit in ways:
        asked.clear()
        draw("--label=0,1,2", f"--num={num}", "--batch_size=1", *way)
        assert asked == num * [jit]


def test_what_was_drawn_before_ctrl_c_is_kept(draw, monkeypatch, capsys):
    whole = draw("--label=0,1,2", "--num=11", "--nojit")
    original, calls = gpc.GatedPixelCNN.sample_stages, []

    def stopped(*arguments, **how):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments, **how)

    monkeypatch.setattr(gpc.GatedPixelCNN, "sample_stages", stopped)
    kept = draw("--label=0,1,2", "--num=11", "--nojit", "--batch_size=4")
    assert len(kept["images"]) == 8
    for name in ("images", "labels"):
        np.testing.assert_array_equal(kept[name], whole[name][:8])
    assert "stopped: 8 of 11 images are there" in capsys.readouterr().err
    calls[:] = 2 * [()]
    with pytest.raises(KeyboardInterrupt):  # nothing was drawn
        draw("--label=0,1,2", "--num=11", "--nojit", "--batch_size=4")


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


def test_low_temperature_draws_more_probable_images(draw, digits):
    model = gpc.load(digits)
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


def test_grid_goes_to_the_run_by_default(digits, monkeypatch, capsys):
    call(sample, monkeypatch, f"--workdir={digits}", "--label=1", "--num=2")
    path = digits / "samples" / "sample.png"
    assert path.is_file()
    out = capsys.readouterr().out
    assert str(path) in out and "2 images in" in out


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
        (["--label=1", "--keep_rows=1"], "--keep_rows needs --given"),
        (["--label=1", "--mask=b.png"], "--mask needs --given"),
        (["--label=1", "--resize"], "--resize needs images: one of .*--given, --map, --like"),
        (["--label=1", "--output=a.jpg"], "--output must end in .png, got a.jpg"),
        (["--label=1", "--npz=a"], "--npz must end in .npz"),
        (["--label=1", "--gif=a.png"], "--gif must end in .gif"),
        (["--label=1", "--num=1", "--output=/dev/null/a.png"], "cannot write /dev/null/a.png"),
        (["--label=1", "--workdir=absent"], "absent is not the work directory of a run"),
    ],
)
def test_mistake_in_sample_is_one_clear_sentence(digits, monkeypatch, arguments, message):
    with pytest.raises(UserError, match=message):
        call(sample, monkeypatch, f"--workdir={digits}", *arguments)


@pytest.mark.parametrize("rows", [-1, 9])
def test_keep_rows_must_fit_the_image(digits, monkeypatch, tmp_path, rows):
    Image.new("L", (8, 8)).save(tmp_path / "given.png")
    with pytest.raises(UserError, match=f"--keep_rows must be 0…8, got {rows}"):
        files = [f"--given={tmp_path / 'given.png'}", f"--keep_rows={rows}"]
        call(sample, monkeypatch, f"--workdir={digits}", "--label=1", *files)
