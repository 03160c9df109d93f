"""Images drawn from given views: colourisation and super-resolution."""

import shutil

import numpy as np
import pytest
from PIL import Image
from scripts import call, prompts
from test_auxiliary import KINDS, LABEL, build, condition_of

import gated_pixelcnn as gpc
from gated_pixelcnn.cli import sample
from gated_pixelcnn.data import photos
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.spec import condition_spec

# The model


@pytest.mark.parametrize(
    "kind",
    [
        *("gray", "pyramid"),
        *(pytest.param(k, marks=pytest.mark.slow) for k in ("label", "three-scales")),
    ],
)
def test_an_image_drawn_from_the_view_that_was_drawn_is_the_same_image(kind):
    model = build(**KINDS[kind])
    condition = condition_of(model, 3)
    stages = model.sample_stages(3, condition, seed=4, jit=False)
    shapes = [
        (tuple(drawn.shape[1:]), int(np.max(drawn)) < spec.levels)
        for drawn, spec in zip(stages, model.stages, strict=True)
    ]
    assert shapes == [(shape, True) for shape in [spec.shape for spec in model.stages]]
    np.testing.assert_array_equal(stages[-1], model.sample(3, condition, seed=4, jit=False))
    for i, view in enumerate(stages[:-1]):
        again = model.sample_stages(condition=condition, stage=view, seed=4, jit=False)
        for found, wanted in zip(again, stages[i:], strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_a_given_view_is_what_images_are_drawn_from():
    model = build(**KINDS["gray"] | {"condition": None, "condition_size": 0})
    views = [np.full((4, *model.prior.image_shape), level, np.uint8) for level in (0, 4)]
    drawn = [model.sample_stages(stage=view, jit=False)[-1] for view in views]
    assert not np.array_equal(*drawn)
    maps = model.maps(views[0])
    np.testing.assert_array_equal(drawn[0], model.conditional.sample(condition=maps, jit=False))


def test_a_view_that_does_not_fit_is_refused():
    model = build(**LABEL | {"image_shape": (8, 8, 1)}, prior=KINDS["three-scales"]["prior"])
    labels = np.arange(2) % 3
    for view, message in (
        (np.zeros((2, 3, 4, 1), int), r"\[N, 4, 4, 1\] or \[N, 2, 2, 1\], got \[2, 3, 4, 1\]"),
        (np.zeros((2, 8, 8, 1), int), r"a view must have the shape .* got \[2, 8, 8, 1\]"),
        (np.full((2, 4, 4, 1), 4), "values 0…3 for a model of 4 levels"),
        (np.zeros((3, 4, 4, 1), int), "one entry for each of 2 images, got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            model.sample_stages(2, labels, stage=view)


# What a user gives


def test_a_gray_photo_is_coloured_and_a_coloured_one_by_its_gray_view(gray, photo):
    model = gpc.load(gray)
    wanted = prompts(model, colourise=photo(8, 8, 1), num=6)
    pixels = np.asarray(Image.open(photo(8, 8, 1)))
    assert wanted.stage.shape == (6, 8, 8, 1) and wanted.rows == 1
    np.testing.assert_array_equal(wanted.stage[0, ..., 0], pixels // 16)
    np.testing.assert_array_equal(
        wanted.shown[0, 0], np.repeat((pixels // 16 * 17)[..., None], 3, 2)
    )
    coloured = np.asarray(Image.open(photo(8, 8, 3)))
    wanted = prompts(model, colourise=photo(8, 8, 3))
    np.testing.assert_array_equal(wanted.stage[0], model.transform(coloured[None])[0])


def test_gray_images_of_an_npz_file_are_coloured(gray, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", images=images)
    wanted = prompts(gpc.load(gray), colourise=str(tmp_path / "a.npz"))
    np.testing.assert_array_equal(wanted.stage[[0, 1, 2, 3], ..., 0], images[[0, 1, 2, 0]] // 16)
    assert wanted.num == 12 and wanted.rows == 3


@pytest.mark.parametrize("size", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_a_small_photo_is_enlarged_from_the_stage_of_its_size(size, pyramid, photo):
    path = photo(size, size)
    wanted = prompts(gpc.load(pyramid), upscale=path)
    np.testing.assert_array_equal(wanted.stage[0], np.asarray(Image.open(path)))
    large = np.asarray(Image.open(path)).repeat(8 // size, 0).repeat(8 // size, 1)
    np.testing.assert_array_equal(wanted.shown[0, 0], large)


def test_resizing_takes_the_middle_of_a_photo_and_averages_it(gray, pyramid, photo, capsys):
    path = photo(20, 32)
    middle = np.asarray(Image.open(path))[:, 6:26]
    # 20×20 to 4×4: means of 5×5.
    means = middle.reshape(4, 5, 4, 5, 3).mean(axis=(1, 3))
    wanted = prompts(gpc.load(pyramid), upscale=path, resize=True)
    np.testing.assert_array_equal(wanted.stage[0], np.floor(means + 0.5))
    assert capsys.readouterr().out == f"resized: {path}, the middle of 32x20 to 4x4\n"
    wanted = prompts(gpc.load(gray), colourise=path, resize=True)
    assert wanted.stage.shape[1:] == (8, 8, 1)


def test_every_photo_and_mask_that_is_resized_is_named(gray, photo, tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    for name, size in (("a", 8), ("b", 16), ("c", 24)):
        shutil.copy(photo(size, size, 1), tmp_path / "photos" / f"{name}.png")
    folder = str(tmp_path / "photos")
    assert prompts(gpc.load(gray), colourise=folder, resize=True).rows == 3
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(", ")[1] for line in lines] == [
        "the middle of 16x16 to 8x8",
        "the middle of 24x24 to 8x8",
    ]
    mask = np.repeat(np.arange(16)[:, None] < 8, 20, axis=1)
    Image.fromarray((mask * 255).astype(np.uint8)).save(tmp_path / "mask.png")
    said = []
    known = photos.read_mask(tmp_path / "mask.png", (8, 8, 3), photos.Reading(resize=said.append))
    np.testing.assert_array_equal(known[..., 0], np.repeat(np.arange(8)[:, None] < 4, 8, axis=1))
    assert "the middle of 20x16 to 8x8" in said[0]


def test_views_that_a_model_drew_are_coloured_as_they_are(gray, tmp_path):
    views = np.random.default_rng(0).integers(0, 16, (2, 8, 8, 1)).astype(np.uint8)
    wanted = {"colourise": str(tmp_path / "a.npz"), "num": 2}
    np.savez(tmp_path / "a.npz", images=views)
    with pytest.raises(UserError, match="no value above 15, so it may hold levels"):
        prompts(gpc.load(gray), **wanted)
    np.savez(tmp_path / "a.npz", images=views, levels=16)
    wanted = prompts(gpc.load(gray), **wanted)
    np.testing.assert_array_equal(wanted.stage, views)


def test_every_photo_has_a_row_for_every_label(photo):
    model = build(**KINDS["gray"])
    path = photo(6, 4, 1)
    wanted = prompts(model, ["ant", "bee", "cat"], colourise=path, label="all")
    assert wanted.num == 12 and wanted.names == ["ant", "bee", "cat"]
    assert wanted.condition.tolist() == [0, 1, 2] * 4
    two = np.stack([np.asarray(Image.open(path)), 255 - np.asarray(Image.open(path))])
    np.savez(path[:-4], images=two)
    wanted = prompts(model, colourise=f"{path[:-4]}.npz", label="0,2")
    assert wanted.num == 16 and wanted.rows == 4 and wanted.names == ["0", "2", "0", "2"]
    assert wanted.condition.tolist() == [0, 2, 0, 2] * 4
    first, second = two.astype(int) * 5 // 256
    for i, view in enumerate([first, first, second, second] * 4):
        np.testing.assert_array_equal(wanted.stage[i, ..., 0], view)
    assert wanted.shown.shape[0] == 4


def test_a_stage_further_down_is_coloured_or_enlarged(photo):
    part = KINDS["pyramid"]["prior"]
    arguments = {"embedding": "resnet", "embedding_blocks": 1, "embedding_features": 3}
    inner = {"family": "auxiliary", "prior": part, "conditional": part, **arguments}
    sizes = {"image_shape": (8, 8, 3), "levels": 256}
    gray_last = build(**sizes, **arguments, conditional=part, prior=inner, transform="grayscale")
    wanted = prompts(gray_last, upscale=photo(4, 4, 1))  # gray at 4×4 first
    assert wanted.stage.shape[1:] == (4, 4, 1)
    inner = {**inner, "transform": "grayscale"}
    half_last = build(**sizes, **arguments, conditional=part, prior=inner, transform="half")
    assert prompts(half_last, upscale=photo(4, 4, 3)).stage.shape[1:] == (4, 4, 3)
    assert prompts(half_last, colourise=photo(4, 4, 1)).stage.shape[1:] == (4, 4, 1)


def test_what_cannot_be_coloured_or_enlarged_is_refused_in_a_sentence(
    gray, pyramid, photo, tmp_path
):
    def npz(images):
        path = tmp_path / f"{images.ndim}.npz"
        np.savez(path, images=images)
        return str(path)

    single = build(**KINDS["row_lstm"]).prior
    gray, pyramid = gpc.load(gray), gpc.load(pyramid)
    for model, values, message in (
        (pyramid, {"colourise": photo(8, 8, 1)}, "not a Grayscale PixelCNN"),
        (single, {"colourise": photo(8, 8, 1)}, "not a Grayscale PixelCNN"),
        (gray, {"upscale": photo(4, 4)}, "does not draw a small image first"),
        (single, {"upscale": photo(4, 4)}, "does not draw a small image first"),
        (gray, {"colourise": photo(6, 8, 1)}, "8x6 pixels .* smaller than the 8x8"),
        (gray, {"colourise": photo(9, 8, 1)}, "8x9 pixels .* of 8x8 are needed: .* --resize"),
        (gray, {"colourise": photo(6, 8, 1), "resize": True}, "--resize does not enlarge"),
        (
            pyramid,
            {"upscale": npz(np.arange(5))},
            r"the shape \(5,\); images must be \[N, H, W\]",
        ),
        (pyramid, {"upscale": npz(np.zeros((1, 9, 9, 3), int))}, "resize it to one of these$"),
        (gray, {"colourise": npz(np.zeros((4, 4), int))}, r"\(4, 4\); images must be"),
        (gray, {"colourise": "no.png"}, "there is no file no.png"),
        (pyramid, {"upscale": photo(8, 8)}, "enlarges images of 2x2 or 4x4: .* --resize"),
        (pyramid, {"upscale": photo(2, 1), "resize": True}, "enlarges images of 2x2 or 4x4"),
        (gray, {"colourise": "a.png", "upscale": "b.png"}, "leave out --upscale"),
        (gray, {"colourise": "a.png", "saved_model": "a"}, "--colourise needs --workdir"),
        (gray, {"colourise": "a.png", "interpolate": ["1,2"]}, "leave out --colourise"),
    ):
        if values.get("interpolate"):
            model.condition_spec = condition_spec("label", 3, model.image_spec)
        with pytest.raises(UserError, match=message):
            prompts(model, **values)


def test_the_script_shows_gray_and_colour_side_by_side(gray, tmp_path, monkeypatch):
    to = [f"--output={tmp_path}/a.png", f"--npz={tmp_path}/a.npz"]
    call(sample, monkeypatch, f"--workdir={gray}", "--num=4", "--nojit", *to)
    arrays = np.load(tmp_path / "a.npz")
    assert arrays["stage_1"].shape == (4, 8, 8, 1) and arrays["images"].shape == (4, 8, 8, 3)
    picture = np.asarray(Image.open(tmp_path / "a.png"))
    first = picture[2 : 2 + 96, 2 : 2 + 2 * 96][::12, ::12]
    np.testing.assert_array_equal(first[:, :8], np.repeat(arrays["stage_1"][0] * 17, 3, axis=-1))
    np.testing.assert_array_equal(first[:, 8:], arrays["images"][0])


def test_the_script_colours_a_photo(gray, photo, tmp_path, monkeypatch, capsys):
    where = (f"--workdir={gray}", f"--output={tmp_path}/a.png", "--nojit")
    colourise = f"--colourise={photo(9, 12, 1)}"
    call(sample, monkeypatch, *where, colourise, "--num=3", "--resize")
    assert "the middle of 12x9 to 8x8" in capsys.readouterr().out
    assert Image.open(tmp_path / "a.png").size == (2 + 4 * 98, 2 + 98)
