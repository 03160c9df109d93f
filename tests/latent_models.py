"""Small models with latent numbers for tests."""

import keras
import numpy as np

from gated_pixelcnn.models.families.agave import AGAVE
from gated_pixelcnn.models.families.vae import VAE

DECODERS = {
    "gated_pixelcnn": {"features": 6, "layers": 2, "first_kernel_size": 3, "kernel_size": 3},
    "pixelcnn_pp": {"features": 4, "blocks": 1, "scales": 2, "components": 2, "dropout": 0.0},
}
SMALL = {"features": 6, "blocks": 2, "latents": 2, "halvings": 1, "free_bits": 0.0}


def build(family="agave", image_shape=(4, 6, 3), levels=8, decoder="gated_pixelcnn", **arguments):
    """A model with random weights, of a size at which images differ by their z."""
    arguments = SMALL | {"dtype": "float64"} | arguments
    keras.utils.set_random_seed(1)
    if family == "agave":
        part = {"family": decoder, **DECODERS[decoder]}
        model = AGAVE(image_shape, levels, part, stream_features=3, **arguments)
    else:
        model = VAE(image_shape, levels, **arguments)
    model.build()
    random = np.random.default_rng(0)
    for weight in model.weights:
        fan = np.prod(weight.shape[:-1]) or 1
        weight.assign(random.normal(size=weight.shape) / np.sqrt(fan))
    model.network.log_scales.assign(random.uniform(-1.5, -0.5, model.network.log_scales.shape))
    contrast(model.network.resize[-1], 8)  # residuals count a tenth, and z is in one of them
    return model


def contrast(layer, factor):
    """Makes what a layer with weight normalisation gives larger."""
    layer.length.assign(factor * layer.length)


def images_of(model, num=5, seed=0):
    """Random images."""
    random = np.random.default_rng(seed)
    return random.integers(0, model.levels, (num, *model.image_shape)).astype(np.uint8)
