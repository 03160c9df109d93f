"""Receptive fields and bits by pixel, and their pictures."""

import numpy as np
import pytest
from families import build, images_of
from PIL import Image
from scripts import call

import gated_pixelcnn as gpc
from gated_pixelcnn import visualization
from gated_pixelcnn.cli import evaluate
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation import pictures

WIDE = {"image_shape": (9, 9, 1), "layers": 2, "kernel_size": 3, "first_kernel_size": 3}


def seen(model, position=None):
    images = images_of(model, 12)
    place, sizes = pictures.receptive_field(model, images, position=position)
    return place, sizes > 0


def order(model):
    height, width, _ = model.image_shape
    return np.arange(height * width).reshape(height, width)


@pytest.mark.parametrize("family", ["gated_pixelcnn", "pixelcnn"])
def test_a_receptive_field_is_that_of_theory(family):
    """Gated: windows of 2 rows or pixels, twice. PixelCNN: three masked convolutions of 3x3."""
    model = build(family, **WIDE)
    model.build()
    (row, column), found = seen(model, (6, 4))
    rows, columns = np.indices((9, 9))
    up, right = row - rows, columns - column
    if family == "gated_pixelcnn":
        reach = np.where(up == 0, right >= -3, (up <= 3) & (abs(right) <= 2))
    else:  # each layer goes up by one and to the right by one, so never further right than up
        reach = (up <= 3) & (right <= up) & (right >= -3)
    earlier = order(model) < 9 * row + column
    np.testing.assert_array_equal(found, reach & earlier)


@pytest.mark.parametrize("family", ["row_lstm", "diagonal_bilstm", "pixelcnn_pp"])
def test_no_later_pixel_is_seen(family):
    model = build(family, **({"likelihood": "mixture"} if family == "pixelcnn_pp" else {}))
    model.build()
    place, found = seen(model)
    assert place == (2, 2)
    assert found.any() and not found[order(model) >= 4 * place[0] + place[1]].any()


def test_the_picture_tells_seen_blind_and_later_pixels_apart():
    model = build("pixelcnn", **WIDE)
    model.build()
    place, sizes = pictures.receptive_field(model, images_of(model, 2))
    picture = pictures.draw_receptive_field(place, sizes)
    assert picture.shape == (252, 252, 3) and picture.dtype == np.uint8
    colours = picture[14::28, 14::28]
    later, here = order(model) > 9 * place[0] + place[1], place
    blind = (order(model) < 9 * here[0] + here[1]) & (sizes == 0)
    assert blind.any()
    assert {tuple(c) for c in colours[later].tolist()} == {(127, 127, 127)}
    assert {tuple(c) for c in colours[blind].tolist()} == {(60, 110, 200)}
    assert tuple(colours[here].tolist()) == (40, 180, 90)
    brightness = colours.astype(int).sum(axis=-1)[sizes > 0]
    assert (np.diff(brightness[np.argsort(sizes[sizes > 0])]) >= 0).all()


def test_bits_of_pixels_add_up_to_those_of_the_image():
    model = build(image_shape=(4, 6, 3), features=6, condition="label", condition_size=3)
    images, labels = images_of(model, 5), np.arange(5) % 3
    bits = pictures.pixel_bits(model, images, labels)
    assert bits.shape == (5, 4, 6)
    wanted = -model.log_prob(images, labels).numpy() / np.log(2)
    np.testing.assert_allclose(bits.sum(axis=(1, 2)), wanted, rtol=1e-5)
    picture, highest = pictures.draw_pixel_bits(images, model.image_spec, bits)
    assert picture.shape[-1] == 3 and np.mean(bits < highest) >= 0.98


@pytest.mark.parametrize(
    ("family", "channels", "values"),
    [
        ("gated_pixelcnn", 2, "categorical"),
        ("gated_pixelcnn", 2, "ordered"),
        ("code_hierarchy", 5, "categorical"),
    ],
)
def test_bits_of_values_stand_where_the_values_are_shown(family, channels, values):
    """Two channels, or two maps of which the top one is enlarged, beside each other."""
    model = build(family, image_shape=(4, 4, channels), levels=9, values=values)
    images = images_of(model, 3)
    bits = pictures.pixel_bits(model, images)
    of_values = -model.value_log_prob(images).numpy() / np.log(2)
    if family == "code_hierarchy":
        top, bottom = gpc.unpack_codes(of_values)
        wanted = np.concatenate([top.repeat(2, axis=1).repeat(2, axis=2), bottom], axis=2)
    else:
        wanted = np.concatenate([of_values[..., 0], of_values[..., 1]], axis=2)
    np.testing.assert_allclose(bits, wanted, rtol=1e-5)
    picture, _ = pictures.draw_pixel_bits(images, model.image_spec, bits)
    assert picture.shape[-1] == 3


def test_heat_goes_from_black_to_white():
    colours = visualization.heat(np.linspace(-0.5, 1.5, 50)).astype(int)
    assert colours[0].tolist() == [0, 0, 0] and colours[-1].tolist() == [255, 255, 230]
    assert (np.diff(colours.sum(axis=-1)) >= 0).all()


@pytest.mark.parametrize("family", ["auxiliary", "vae", "embedding"])
def test_models_without_such_pictures_are_refused(family):
    model = build(family)
    images = images_of(model, 2)
    with pytest.raises(ValueError, match="is of one autoregressive network"):
        pictures.receptive_field(model, images)
    with pytest.raises(ValueError, match="need a model of exact log-probabilities"):
        pictures.pixel_bits(model, images)
    with pytest.raises(ValueError, match=r"position must be inside of 4x4, got \(4, 0\)"):
        pictures.receptive_field(build(), images, position=(4, 0))


def test_evaluate_draws_them(digits, tmp_path, monkeypatch, capsys):
    files = {name: tmp_path / f"{name}.png" for name in ("receptive_field", "heatmap")}
    flags = [f"--{name}={path}" for name, path in files.items()]
    flags += [f"--workdir={digits}", f"--beside={digits}", "--num_images=9", "--nobaselines"]
    call(evaluate, monkeypatch, *flags)
    told = capsys.readouterr()
    for path in files.values():
        assert Image.open(path).size[0] > 200 and str(path) in told.err
    assert "bits/dim" in told.out and "png" not in told.out
    exported = gpc.export(digits, tmp_path / "export")
    flags = [f"--saved_model={exported}", "--num_images=4", "--nobaselines", flags[0]]
    with pytest.raises(UserError, match="--receptive_field needs --workdir"):
        call(evaluate, monkeypatch, *flags)
