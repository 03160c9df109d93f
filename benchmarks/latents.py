"""How far the samples of a model with latent variables (vae, agave) follow f(z).

    python benchmarks/latents.py --workdir=runs/agave

Draws images, each from a z of its own, and prints the mean correlation over the pixels of an image
with its own f(z) and with those of the other images. Without use for z both are the same.
"""

import numpy as np
from absl import flags
from following import followed, share_nearest

from gated_pixelcnn.errors import UserError, run

_WORKDIR = flags.DEFINE_string("workdir", None, "Directory of the run.", required=True)
_NUM = flags.DEFINE_integer("num", 64, "Number of images.", lower_bound=2)
_SEED = flags.DEFINE_integer("seed", 0, "Of the draws.")


def main(_):
    """Draws and compares."""
    import gated_pixelcnn as gpc

    model = gpc.load(_WORKDIR.value)
    if not hasattr(model, "show_latents"):
        raise UserError(f"{_WORKDIR.value} has no latent variables")
    *_, found = followed(model, _NUM.value, _SEED.value)
    own = np.eye(len(found), dtype=bool)
    print(f"{len(found)} images of {_WORKDIR.value}: correlation with f(z)")
    print(f"  their own  {found[own].mean():.3f}")
    print(f"  others'    {found[~own].mean():.3f}")
    print(f"  nearest to their own: {share_nearest(found):.1%} ({1 / len(found):.1%} by chance)")


if __name__ == "__main__":
    run(main)
