"""A plain family is its layer, its model file, its configuration and one line of the list."""

import sys
from pathlib import Path

import numpy as np
import pytest
import test_conformance
import test_conformance_sampling
from families import FAMILIES, SINGLE_STACK, SMALL, images_of
from family import Family

import gated_pixelcnn as gpc
from gated_pixelcnn.models import registry

FOLDER = Path(__file__).parent / "toy_family"


@pytest.fixture(name="toy")
def registered(monkeypatch):
    """The family while a test runs: others go through those of the package."""
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    for name in ("toy", "toy_layer"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import toy

    monkeypatch.setitem(FAMILIES, "toy", Family(toy.Toy, SMALL, **SINGLE_STACK))  # the one line
    yield toy.Toy
    for name in ("toy", "toy_layer"):
        sys.modules.pop(name, None)


def test_a_run_is_trained_loaded_evaluated_drawn_from_and_saved(toy, tmp_path):
    config = gpc.get_config(str(FOLDER / "toy_digits.py"))
    assert gpc.train(config, tmp_path / "run").step == 2
    model = gpc.load(tmp_path / "run")
    assert type(model).__name__ == toy.__name__
    images = images_of(model, 5)
    bits = gpc.evaluate(model, images)["bits_per_dim"]
    nats = model.log_prob(images).numpy().mean()
    assert bits == pytest.approx(-nats / np.log(2) / 64, rel=1e-5)
    model.save(tmp_path / "model.keras")
    other = gpc.load(tmp_path / "model.keras")
    drawn = [each.sample(2, seed=1, jit=False) for each in (model, other)]
    np.testing.assert_array_equal(*drawn)


def test_it_holds_properties_of_the_conformance_suite(toy):
    case = ("toy", "colour", "label")
    test_conformance.test_parameters_depend_on_all_earlier_values_and_on_no_others(case)
    test_conformance.test_every_weight_gets_a_gradient(case)
    test_conformance_sampling.test_incremental_parameters_equal_those_of_the_parallel_pass(case)
    test_conformance_sampling.test_samples_depend_on_the_seed_and_not_on_the_batch(case)
