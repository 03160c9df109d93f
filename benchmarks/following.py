"""How far samples of a model with latent variables follow f(z)."""

import numpy as np


def correlations(first, second):
    """Of every image of one array with every image of the other, both [N, H, W, C]: [N, N]."""

    def standardised(images):
        flat = images.reshape(len(images), -1).astype(np.float64)
        flat -= flat.mean(axis=1, keepdims=True)
        return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)

    return standardised(first) @ standardised(second).T


def share_nearest(found):
    """Share of the images nearest to their own f(z), of correlations [N, N] as in `followed`."""
    return float((found.argmax(axis=1) == np.arange(len(found))).mean())


def followed(model, num, seed=0, jit=True):
    """Draws images, each from a z of its own.

    Args:
      model: with latent variables.
      num: of images.
      seed: of the draws.
      jit: see `DensityModel.sample`.

    Returns:
      f(z) as images of their size, and the images, bytes [num, H, W, C]; correlations [num, num] of
      every image with every f(z).
    """
    from gated_pixelcnn import visualization

    f, images = (np.asarray(stage) for stage in model.sample_stages(num, seed=seed, jit=jit))
    shown = visualization.enlarged(f, model.view.levels, model.image_shape)
    drawn = visualization.to_bytes(images, model.levels)
    return shown, drawn, correlations(drawn, shown)
