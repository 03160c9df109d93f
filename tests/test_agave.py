"""AGAVE: the objective, and the decoder that sees f(z)."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from families import DECODERS, images_of
from families import latent_model as build

from gated_pixelcnn import sampling
from gated_pixelcnn.models.families.agave import AGAVE
from gated_pixelcnn.spec import bits_per_dim

ROOT = Path(__file__).parents[1]


# The model


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("auxiliary", ["image", "half", "grayscale"])
def test_what_is_maximised_is_image_and_auxiliary_less_the_weighted_divergence(
    decoder, auxiliary, monkeypatch
):
    model = build(
        "agave", decoder=decoder, auxiliary=auxiliary, auxiliary_weight=0.7, kl_weight=3.0
    )
    images = images_of(model, 3)
    monkeypatch.setattr(model, "training_noise", model.posterior_noise)
    image, divergence = model.log_prob_terms(images).numpy().T
    f, *_ = model.infer(images, model.posterior_noise(images))
    nats = -(image + 0.7 * model.view_log_prob(f, images) + 3.0 * divergence)
    loss = model.training_loss(images, None, training=True)
    np.testing.assert_allclose(loss, bits_per_dim(nats, (4, 6, 3)), rtol=1e-5)


def test_a_decoder_trained_alone_is_that_of_maps_of_zeros():
    model = build("agave", train_only="decoder")
    images = images_of(model, 3)
    zeros = np.zeros((3, *model.image_shape[:2], model.decoder.condition_size))
    wanted = model.decoder.log_prob_terms_of(images, zeros).numpy().sum(axis=1)
    np.testing.assert_allclose(model.log_prob_terms(images)[:, 0], wanted)
    loss = model.training_loss(images, None, training=True)
    np.testing.assert_allclose(loss, bits_per_dim(-wanted, (4, 6, 3)), rtol=1e-5)


def test_samples_of_a_decoder_trained_alone_are_not_shown_f():
    """They are of the distribution whose log-probabilities the model gives."""
    model = build("agave", train_only="decoder", dtype="float32")
    zeros = np.zeros((2, *model.image_shape[:2], model.decoder.condition_size), np.float32)
    drawn = model.sample(2, seed=3, jit=False)
    np.testing.assert_array_equal(drawn, model.decoder.sample(2, zeros, seed=3, jit=False))


@pytest.mark.parametrize("auxiliary", ["image", "half", "quarter", "grayscale"])
def test_the_image_is_predicted_from_all_of_f(auxiliary):
    model = build("agave", (4, 8, 3), decoder="pixelcnn_pp", auxiliary=auxiliary)
    images = images_of(model, 1)
    f = tf.constant(np.random.default_rng(0).normal(size=(1, *model.view.image_shape)))
    with tf.GradientTape() as tape:
        tape.watch(f)
        first = model.decoder(images, model.maps(f))[:, 0, 0]
    assert f.shape[1:] == model.view.image_shape
    assert (np.abs(tape.gradient(first, f)) > 0).all()  # the stream sees what comes later, too


def test_the_decoder_of_f_is_a_density_model_by_itself():
    """Given f(z), fast and naive sampling draw the same images: the stream is no leak."""
    model = build("agave", dtype="float32")
    maps = model.maps(model.network.decode(model.draw_latents(0, np.arange(3))))
    noise = sampling.noise(5, tf.range(3), model.decoder)
    naive = tf.function(sampling.sample_naively, autograph=False)(model.decoder, noise, maps)
    latents = model.draw_latents(0, np.arange(3))
    _, fast = model.sample_stages(stage=latents, seed=5, jit=False)
    np.testing.assert_array_equal(fast, naive)


@pytest.mark.slow
def test_replicas_share_the_work_of_one_device():
    """By a process of its own, as devices must be set up first."""
    code = """
import sys
sys.path.insert(0, "tests")
import numpy as np, tensorflow as tf
import gated_pixelcnn as gpc
from gated_pixelcnn.training.strategies import divide_cpu, make_strategy
from gated_pixelcnn.models.latent_variable import LatentVariableModel
import tempfile, agave_runs
from runs import final_arrays
from pathlib import Path
LatentVariableModel.training_noise = LatentVariableModel.posterior_noise
divide_cpu(2)
found = []
for strategy in (None, make_strategy("mirrored")):
    with tempfile.TemporaryDirectory() as folder:
        gpc.train(agave_runs.config("train.eval_every=4"), folder, strategy)
        found.append(final_arrays(Path(folder)))
for name in found[0]:
    np.testing.assert_allclose(found[1][name], found[0][name], rtol=2e-3, atol=2e-5, err_msg=name)
print("equal")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout.endswith("equal\n"), result.stderr[-2000:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"auxiliary": "grayscle"}, "auxiliary is 'grayscle'; did you mean 'grayscale'"),
        (
            {"auxiliary": "grayscale", "image_shape": (4, 4, 1)},
            "images of 1 colours have no grayscale view",
        ),
        ({"auxiliary": "quarter", "image_shape": (4, 6, 3)}, "4x6 .* cannot be divided by 4"),
        ({"auxiliary_levels": 9}, "levels of a view must be 2…8, got 9"),
        ({"auxiliary_weight": -1.0}, "auxiliary_weight must be at least 0 and finite, got -1"),
        ({"kl_weight": float("nan")}, "kl_weight must be at least 0 and finite, got nan"),
        ({"kl_weight": math.inf}, "kl_weight must be at least 0 and finite, got inf"),
        ({"train_only": "encoder"}, "train_only is 'encoder'"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        build("agave", **arguments)


def test_a_decoder_that_cannot_see_f_is_refused():
    with pytest.raises(ValueError, match="decoder: .*None, 'label' or 'vector'"):
        AGAVE((4, 4, 3), 8, {"family": "auxiliary"})
    with pytest.raises(ValueError, match="family of decoder must be one of"):
        AGAVE((4, 4, 3), 8, {"family": "embedding"})
