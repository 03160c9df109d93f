"""One small model of every family, for properties that all of them share."""

import numpy as np

from gated_pixelcnn.models.registry import FAMILIES

SHAPE, LEVELS = (4, 4, 1), 8
STACK = {"features": 4, "layers": 2, "first_kernel_size": 3}
PLUS_PLUS = {"features": 3, "blocks": 1, "scales": 1, "components": 2}
LATENT = {"features": 4, "blocks": 1, "latents": 1}
PART = {"family": "gated_pixelcnn", **STACK}
ARGUMENTS = {
    "gated_pixelcnn": STACK,
    "pixelcnn": STACK,
    "row_lstm": STACK,
    "diagonal_bilstm": STACK,
    "pixelcnn_pp": PLUS_PLUS,
    "embedding": {"code_size": 3, "encoder_features": 4, "images_per_class": 2},
    "mse_autoencoder": {"code_size": 3, "encoder_features": 4, "decoder_features": 3},
    "auxiliary": {"prior": PART, "conditional": PART, "embedding_features": 2},
    "vae": LATENT,
    "agave": {**LATENT, "decoder": PART, "stream_features": 2},
}
assert ARGUMENTS.keys() == FAMILIES.keys()


def build(family="gated_pixelcnn", image_shape=SHAPE, levels=LEVELS, **arguments):
    """A model that is not built yet."""
    return FAMILIES[family](image_shape, levels, **ARGUMENTS[family] | arguments)


def images_of(model, num=6, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, model.levels, (num, *model.image_shape)).astype(np.uint8)


def batch_of(model, num=6):
    """Images, and labels where the model is trained with some."""
    images = images_of(model, num)
    return (images, np.arange(num) % 3) if model.takes_labels else (images,)
