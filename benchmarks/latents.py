"""How far the samples of a model with latent variables (vae, agave) follow f(z).

    python benchmarks/latents.py --workdir=runs/agave

Draws images, each from a z of its own, and prints the mean correlation over the pixels of an image
with its own f(z) and with those of the other images. Without use for z both are the same.
"""

import numpy as np
from absl import flags

from gated_pixelcnn.errors import UserError, run

_WORKDIR = flags.DEFINE_string("workdir", None, "Directory of the run.", required=True)
_NUM = flags.DEFINE_integer("num", 64, "Number of images.", lower_bound=2)
_SEED = flags.DEFINE_integer("seed", 0, "Of the draws.")


def correlations(first, second):
    """Of every image of one array with every image of the other, both [N, H, W, C]: [N, N]."""

    def standardised(images):
        flat = images.reshape(len(images), -1).astype(np.float64)
        flat -= flat.mean(axis=1, keepdims=True)
        return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)

    return standardised(first) @ standardised(second).T


def main(_):
    """Draws and compares."""
    import gated_pixelcnn as gpc
    from gated_pixelcnn import visualization

    model = gpc.load(_WORKDIR.value)
    if not hasattr(model, "show_latents"):
        raise UserError(f"{_WORKDIR.value} has no latent variables")
    f, images = model.sample_stages(_NUM.value, seed=_SEED.value)
    shown = visualization.enlarged(np.asarray(f), model.view.levels, model.image_shape)
    found = correlations(np.asarray(images), shown)
    own = np.eye(len(found), dtype=bool)
    print(f"{len(found)} images of {_WORKDIR.value}: correlation with f(z)")
    print(f"  their own  {found[own].mean():.3f}")
    print(f"  others'    {found[~own].mean():.3f}")
    nearest = (found.argmax(axis=1) == np.arange(len(found))).mean()
    print(f"  nearest to their own: {nearest:.1%} ({1 / len(found):.1%} by chance)")


if __name__ == "__main__":
    run(main)
