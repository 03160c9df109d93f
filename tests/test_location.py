"""The images of benchmarks/location.py, where their objects are, and why a label cannot tell."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import location  # noqa: E402

import gated_pixelcnn as gpc  # noqa: E402


def test_places_cover_the_middle_once():
    maps = location.place_maps(np.arange(location.PLACES))
    covered = maps.sum(axis=0)[..., 0]
    inside = slice(location.MARGIN, location.SIZE - location.MARGIN)
    assert maps.sum(axis=(1, 2, 3)).tolist() == [location.PLACE**2] * location.PLACES
    assert (covered[inside, inside] == 1).all() and covered.sum() == maps.sum()


def test_every_image_has_one_object_at_the_place_of_its_label():
    images, labels = location.make_images(500, seed=0)
    assert images.dtype == np.uint8 and images.shape == (500, location.SIZE, location.SIZE, 1)
    assert set(np.unique(images)) == set(range(location.LEVELS))
    assert set(labels) == set(range(location.PLACES))
    assert location.in_place(images, labels).all()
    assert not location.elsewhere(images, labels).any()
    assert location.distance(images, labels).max() < 2  # half a pixel of offset, uneven brightness
    again, other = location.make_images(500, seed=0)[0], location.make_images(500, seed=1)[0]
    assert np.array_equal(images, again) and not np.array_equal(images, other)


def test_objects_vary_and_tell_their_shape_and_offset():
    images, labels = location.make_images(2000, seed=0)
    seen = {(label, (image >= 2).tobytes()) for image, label in zip(images, labels, strict=True)}
    assert len(seen) == location.PLACES * location.OFFSETS * len(location.SHAPES)
    bright = {mask for _, mask in seen}
    assert len(bright) == len(seen)  # none is another one's at another place


def test_objects_elsewhere_are_found():
    images, labels = location.make_images(200, seed=0)
    wrong = (labels + 1) % location.PLACES
    assert not location.in_place(images, wrong).any()
    assert (location.elsewhere(images, wrong) >= location.LEAST).all()
    assert location.distance(images, wrong).min() > location.PLACE - 2


def test_an_object_and_a_stray_one():
    image = np.zeros((1, location.SIZE, location.SIZE, 1), np.uint8)
    assert not location.in_place(image, [4])[0] and np.isnan(location.distance(image, [4])[0])
    top, left = location.corner(4)
    image[0, top : top + 3, left : left + 3] = 3
    assert location.in_place(image, [4])[0] and location.elsewhere(image, [4])[0] == 0
    assert location.distance(image, [4])[0] == pytest.approx(1.5 * 2**0.5)
    image[0, 0, 0] = 2
    assert location.in_place(image, [4])[0] and location.elsewhere(image, [4])[0] == 1


def test_shortest_bits_are_the_law_of_the_images():
    images, _ = location.make_images(1, seed=0)
    bright, ones = (images >= 2).sum(), (images == 1).sum()
    rest = images.size - bright - ones
    probability = (1 / 4) * (1 / 4) * 0.5**bright * 0.05**ones * 0.95**rest
    assert location.shortest_bits(images)[0] == pytest.approx(-np.log2(probability))


def test_without_a_map_the_network_cannot_tell_the_places_apart():
    # On an empty image only the border differs, and no place is within reach of it.
    empty = np.zeros((1, location.SIZE, location.SIZE, 1), np.uint8)
    parameters = {}
    for features in (0, 16):
        config = location.configuration("embedded", 1, f"model.spatial_features={features}")
        model = gpc.build_model(config, empty.shape[1:], location.LEVELS, location.PLACES)
        for weight in model.trainable_weights:  # biases begin as zeros
            weight.assign_add(0.1 * np.random.default_rng(0).normal(size=weight.shape))
        parameters[features] = np.asarray(model(empty, np.array([3])))[0]
    far = slice(location.MARGIN, location.SIZE - location.MARGIN)  # from the border
    spread = {k: np.ptp(v[far, far], axis=(0, 1)).max() for k, v in parameters.items()}
    assert spread[0] < 1e-5
    assert spread[16] > 0.01
