"""Images drawn from given views: colourisation and super-resolution, and parts trained apart."""

import json

import numpy as np
import pytest
from PIL import Image
from runs import metrics
from test_auxiliary import KINDS, LABEL, build, condition_of, images_of, script
from test_prompts import flags

import gated_pixelcnn as gpc
from gated_pixelcnn import images as pictures
from gated_pixelcnn.cli import prompts
from gated_pixelcnn.errors import UserError

SMALL = ["features=4", "blocks=1", "scales=1"]
OVERRIDES = [
    "data.image_size=8",
    "data.memory_limit_mb=0",
    "model.embedding_features=3",
    "model.embedding_blocks=1",
    "model.embedding_scales=1",
    *(f"model.conditional.{value}" for value in SMALL),
    "train.batch_size=8",
    "train.steps=4",
    "train.log_every=2",
    "train.eval_every=2",
    "train.eval_images=10",
    "train.samples=0",
]
GRAY = ["grayscale", [*OVERRIDES, *(f"model.prior.{value}" for value in SMALL)]]
PYRAMID = [
    "pyramid",
    [
        *OVERRIDES,
        *(f"model.prior.prior.{value}" for value in SMALL),
        *(f"model.prior.conditional.{value}" for value in SMALL),
        "model.prior.embedding_features=3",
        "model.prior.embedding_blocks=1",
        "model.prior.embedding_scales=1",
    ],
]


def train(workdir, preset, overrides, *changes):
    gpc.train(gpc.get_config(preset, [*overrides, *changes]), workdir)
    return workdir


@pytest.fixture(scope="module")
def gray(tmp_path_factory):
    return train(tmp_path_factory.mktemp("gray"), *GRAY)


@pytest.fixture(scope="module")
def pyramid(tmp_path_factory):
    return train(tmp_path_factory.mktemp("pyramid"), *PYRAMID)


@pytest.fixture
def photo(tmp_path):
    """An image file of noise, of a size and a mode."""

    def make(height, width, channels=3):
        pixels = np.random.default_rng(height).integers(0, 256, (height, width, channels))
        path = tmp_path / f"{height}x{width}x{channels}.png"
        pixels = pixels.astype(np.uint8)
        Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(path)
        return str(path)

    return make


# The model


@pytest.mark.parametrize("kind", ["label", "three-scales", "gray", "pyramid"])
def test_an_image_drawn_from_the_view_that_was_drawn_is_the_same_image(kind):
    model = build(**KINDS[kind])
    condition = condition_of(model, 3)
    stages = model.sample_stages(3, condition, seed=4, jit=False)
    shapes = [
        (tuple(drawn.shape[1:]), int(np.max(drawn)) < n)
        for drawn, (_, n) in zip(stages, model.stages, strict=True)
    ]
    assert shapes == [(shape, True) for shape, _ in model.stages]
    np.testing.assert_array_equal(stages[-1], model.sample(3, condition, seed=4, jit=False))
    for i, view in enumerate(stages[:-1]):
        again = model.sample_stages(condition=condition, view=view, seed=4, jit=False)
        for found, wanted in zip(again, stages[i:], strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_a_given_view_is_what_images_are_drawn_from():
    model = build(**KINDS["gray"] | {"condition": None, "condition_size": 0})
    views = [np.full((4, *model.prior.image_shape), level, np.uint8) for level in (0, 4)]
    drawn = [model.sample_stages(view=view, jit=False)[-1] for view in views]
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
        (np.zeros((3, 4, 4, 1), int), "a view for each of 2 images, got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            model.sample_stages(2, labels, view=view)


# What a user gives


def test_a_gray_photo_is_coloured_and_a_coloured_one_by_its_gray_view(gray, photo):
    model = gpc.load(gray)
    wanted = prompts.prompts(flags(colourise=photo(8, 8, 1), num=6), model)
    pixels = np.asarray(Image.open(photo(8, 8, 1)))
    assert wanted.view.shape == (6, 8, 8, 1) and wanted.rows == 1
    np.testing.assert_array_equal(wanted.view[0, ..., 0], pixels // 16)
    np.testing.assert_array_equal(wanted.shown[0], np.repeat((pixels // 16 * 17)[..., None], 3, 2))
    coloured = np.asarray(Image.open(photo(8, 8, 3)))
    wanted = prompts.prompts(flags(colourise=photo(8, 8, 3)), model)
    np.testing.assert_array_equal(wanted.view[0], model.transform(coloured[None])[0])


def test_gray_images_of_an_npz_file_are_coloured(gray, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", images=images)
    wanted = prompts.prompts(flags(colourise=str(tmp_path / "a.npz")), gpc.load(gray))
    np.testing.assert_array_equal(wanted.view[[0, 1, 2, 3], ..., 0], images[[0, 1, 2, 0]] // 16)
    assert wanted.num == 12 and wanted.rows == 3


@pytest.mark.parametrize("size", [2, 4])
def test_a_small_photo_is_enlarged_from_the_stage_of_its_size(size, pyramid, photo):
    path = photo(size, size)
    wanted = prompts.prompts(flags(upscale=path), gpc.load(pyramid))
    np.testing.assert_array_equal(wanted.view[0], np.asarray(Image.open(path)))
    large = np.asarray(Image.open(path)).repeat(8 // size, 0).repeat(8 // size, 1)
    np.testing.assert_array_equal(wanted.shown[0], large)


def test_resizing_takes_the_middle_of_a_photo_and_averages_it(gray, pyramid, photo, capsys):
    path = photo(20, 32)
    middle = np.asarray(Image.open(path))[:, 6:26]
    # 20×20 to 4×4: means of 5×5.
    means = middle.reshape(4, 5, 4, 5, 3).mean(axis=(1, 3))
    wanted = prompts.prompts(flags(upscale=path, resize=True), gpc.load(pyramid))
    assert np.abs(wanted.view[0] - means).max() <= 1
    assert capsys.readouterr().out == f"resized: {path}, the middle of 32x20 to 4x4\n"
    wanted = prompts.prompts(flags(colourise=path, resize=True), gpc.load(gray))
    assert wanted.view.shape[1:] == (8, 8, 1)


def test_a_photo_is_taken_the_way_up_that_it_is_shown(photo, tmp_path):
    with Image.open(photo(4, 6)) as image:
        turned = Image.Exif()
        turned[0x0112] = 6  # shown turned by a quarter to the right
        image.save(tmp_path / "a.tiff", exif=turned)
        pixels = np.asarray(image)
    found = pictures.read_image(tmp_path / "a.tiff", (6, 4, 3), 256)
    np.testing.assert_array_equal(found, np.rot90(pixels, -1))
    assert pictures.size_of(tmp_path / "a.tiff") == (6, 4)


def test_what_cannot_be_coloured_or_enlarged_is_refused_in_a_sentence(gray, pyramid, photo):
    single = build(**KINDS["row_lstm"]).prior
    for model, values, message in (
        (pyramid, {"colourise": photo(8, 8, 1)}, "not a Grayscale PixelCNN"),
        (single, {"colourise": photo(8, 8, 1)}, "not a Grayscale PixelCNN"),
        (gray, {"upscale": photo(4, 4)}, "does not draw a small image first"),
        (single, {"upscale": photo(4, 4)}, "does not draw a small image first"),
        (gray, {"colourise": photo(6, 8, 1)}, "8x6 pixels .* images are 8x8: resize .* --resize"),
        (gray, {"colourise": photo(6, 8, 1), "resize": True}, "--resize does not enlarge"),
        (gray, {"colourise": "no.png"}, "there is no file no.png"),
        (pyramid, {"upscale": photo(8, 8)}, "enlarges images of 2x2 or 4x4: .* --resize"),
        (pyramid, {"upscale": photo(2, 1), "resize": True}, "enlarges images of 2x2 or 4x4"),
        (pyramid, {"upscale": photo(4, 4, 1)}, "has the mode L, but the model draws RGB"),
        (gray, {"colourise": "a.png", "upscale": "b.png"}, "leave out --upscale"),
        (gray, {"colourise": "a.png", "saved_model": "a"}, "--colourise needs --workdir"),
        (gray, {"colourise": "a.png", "interpolate": ["1,2"]}, "leave out --colourise"),
    ):
        model = gpc.load(model) if model in (gray, pyramid) else model
        if values.get("interpolate"):
            model.condition_kind = "label"
        with pytest.raises(UserError, match=message):
            prompts.prompts(flags(**values), model)


def test_the_script_shows_gray_and_colour_side_by_side(gray, tmp_path):
    to = f"--output={tmp_path}/a.png"
    drawn = script(
        "sample", f"--workdir={gray}", "--num=4", to, f"--npz={tmp_path}/a.npz", "--nojit"
    )
    assert drawn.returncode == 0, drawn.stderr
    arrays = np.load(tmp_path / "a.npz")
    assert arrays["stage_1"].shape == (4, 8, 8, 1) and arrays["images"].shape == (4, 8, 8, 3)
    picture = np.asarray(Image.open(tmp_path / "a.png"))
    first = picture[2 : 2 + 96, 2 : 2 + 2 * 96][::12, ::12]
    np.testing.assert_array_equal(first[:, :8], np.repeat(arrays["stage_1"][0] * 17, 3, axis=-1))
    np.testing.assert_array_equal(first[:, 8:], arrays["images"][0])


def test_the_script_colours_a_photo(gray, photo, tmp_path):
    to = f"--output={tmp_path}/a.png"
    where = (f"--workdir={gray}", to, "--nojit")
    drawn = script("sample", *where, f"--colourise={photo(9, 12, 1)}", "--num=3", "--resize")
    assert drawn.returncode == 0, drawn.stderr
    assert "the middle of 12x9 to 8x8" in drawn.stdout
    assert Image.open(tmp_path / "a.png").size == (2 + 4 * 98, 2 + 98)


# Parts that are trained apart


def test_parts_trained_apart_are_the_model_trained_as_a_whole(gray, tmp_path):
    for part in ("prior", "conditional"):
        train(tmp_path / part, *GRAY, f"model.train_only={part}", "train.clip_norm=0.0")
    whole = gpc.load(train(tmp_path / "whole", *GRAY, "train.clip_norm=0.0"), "latest")
    model = gpc.load(tmp_path / "conditional", "latest", prior=tmp_path / "prior")
    images = images_of(model, 4)
    parts, wanted = model.log_prob_parts(images), whole.log_prob_parts(images)
    np.testing.assert_allclose(parts, wanted, rtol=1e-4)
    alone = gpc.load(tmp_path / "conditional", "latest")
    assert not np.allclose(alone.log_prob_parts(images)[:, 0], wanted[:, 0], rtol=1e-3)
    evaluated = script(
        "evaluate",
        f"--workdir={tmp_path}/conditional",
        f"--prior={tmp_path}/prior",
        "--num_images=4",
        "--json",
    )
    assert evaluated.returncode == 0, evaluated.stderr
    best = gpc.load(tmp_path / "conditional", prior=tmp_path / "prior")
    from gated_pixelcnn import data

    shown = data.load(data.DataConfig(**gpc.get_config(*GRAY).data)).test
    shown = np.concatenate([batch[0] for batch in shown.eval_batches(4).take(1)])
    found = json.loads(evaluated.stdout)["bits_per_dim"]
    assert found == pytest.approx(gpc.evaluate(best, shown)["bits_per_dim"], abs=1e-4)


@pytest.mark.parametrize("part", ["prior", "conditional"])
def test_a_part_is_trained_and_reported_alone(part, tmp_path):
    train(tmp_path, *GRAY, f"model.train_only={part}")
    model = gpc.load(tmp_path, "latest")
    term = dict(prior="gray image", conditional="image given it")[part]
    from gated_pixelcnn import data

    held_out = data.load(data.DataConfig(**gpc.get_config(*GRAY).data)).validation
    held_out = np.concatenate([batch[0] for batch in held_out.eval_batches(10).take(1)])
    reports = [line for line in metrics(tmp_path) if "validation_bits_per_dim" in line]
    found = gpc.evaluate(model, held_out)["terms"][term]
    assert reports[-1]["validation_bits_per_dim"] == pytest.approx(found, rel=1e-5)


def test_a_prior_that_does_not_fit_is_refused(gray, pyramid, tmp_path):
    train(tmp_path / "other", *GRAY, "model.prior.features=5", "train.steps=1")
    for path, prior, message in (
        (gray, pyramid, "the prior of .* is not that of"),
        (gray, tmp_path / "other", "they differ in features"),
        (gray, tmp_path / "nothing", "is not the work directory of a run"),
    ):
        with pytest.raises(UserError, match=message):
            gpc.load(path, prior=prior)
    refused = script("sample", "--saved_model=a", "--prior=b")
    assert refused.returncode == 1 and "--prior needs --workdir" in refused.stderr
