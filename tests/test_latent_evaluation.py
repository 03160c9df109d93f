"""What evaluation tells of models with latent variables: what z holds, and tighter bounds."""

import math

import numpy as np
import pytest
import tensorflow as tf
from families import images_of
from families import latent_model as build

from gated_pixelcnn import evaluation
from gated_pixelcnn.evaluation import Images
from gated_pixelcnn.evaluation.importance_weighted import ImportanceWeighted
from gated_pixelcnn.evaluation.latents import DETAILS, Latents
from gated_pixelcnn.spec import bits_per_dim


class Split:
    """A split of `data.load`, as far as evaluation needs one."""

    has_labels = False

    def __init__(self, images):
        self.images, self.num_images = images, len(images)

    def eval_batches(self, batch_size):
        for first in range(0, len(self.images), batch_size):
            yield (self.images[first : first + batch_size],)


@pytest.mark.parametrize("family", ["vae", pytest.param("agave", marks=pytest.mark.slow)])
def test_what_z_holds_is_told_in_numbers(family):
    model = build(family)
    images = images_of(model, 7)
    found = Latents().details_of(model, Images(Split(images), 3))
    of_auxiliary = {"auxiliary_bits_per_dim"} if family == "vae" else set()
    assert found.keys() == DETAILS.keys() - of_auxiliary
    terms = model.log_prob_terms(images).numpy()
    bits = bits_per_dim(-terms[:, 1].mean(), model.image_shape)
    assert found["kl_bits_per_dim"] == pytest.approx(bits)
    numbers = math.prod(model.network.latent_shape)
    assert found["kl_per_dimension"] * numbers == pytest.approx(-terms[:, 1].mean())
    if family == "agave":
        f, *_ = model.infer(images, model.posterior_noise(images))
        bits = bits_per_dim(-model.view_log_prob(f, images), model.view.image_shape)
        assert found["auxiliary_bits_per_dim"] == pytest.approx(float(np.mean(bits)))
    np.testing.assert_allclose(found["kl_of_units"].mean(), found["kl_per_dimension"])
    assert found["kl_of_units"].shape == (numbers,)
    first = Latents().details_of(model, Images(Split(images), 3, 4))
    wanted = Latents().details_of(model, Images(Split(images[:4]), 4))
    for name in found:
        np.testing.assert_allclose(first[name], wanted[name], rtol=1e-9, err_msg=name)


def test_units_are_active_where_their_divergence_is_above_a_hundredth(monkeypatch):
    model = build("vae", blocks=1)
    shape = (1, *model.network.latent_shape)
    divergence = np.zeros(shape)
    divergence.flat[:3] = 0.02, 0.011, 0.009

    def infer(images, noise):
        return None, None, tf.constant(np.repeat(divergence, 2, axis=0))

    monkeypatch.setattr(model, "infer", infer)
    found = Latents().details_of(model, Images(Split(images_of(model, 2)), 2))
    assert found["active_units"] == 2


def test_evaluation_tells_the_terms_and_the_bound_of_several_draws():
    model = build("agave")
    images = images_of(model, 5)
    found = evaluation.evaluate(model, images, batch_size=2)
    assert found["is_lower_bound"] and list(found["terms"]) == list(model.terms)
    assert sum(found["terms"].values()) == pytest.approx(found["bits_per_dim"])
    chosen = Images(Split(images), 2)
    weighted = ImportanceWeighted(3).evaluate(model, chosen)["importance_weighted"]
    bits = bits_per_dim(-model.importance_log_prob(images, 3), model.image_shape)
    assert weighted["bits_per_dim"] == pytest.approx(bits.mean())
    assert weighted["standard_error"] == pytest.approx(bits.std(ddof=1) / math.sqrt(5))
    assert weighted["draws"] == 3


def test_a_bound_of_several_draws_that_is_not_finite_names_the_image(monkeypatch):
    model = build("vae")

    def nowhere(images, draws):
        return np.where(np.arange(len(images)) == 1, np.nan, -1.0)

    monkeypatch.setattr(model, "importance_log_prob", nowhere)
    with pytest.raises(FloatingPointError, match="image 1 .* is nan"):
        ImportanceWeighted(2).evaluate(model, Images(Split(images_of(model, 3))))
