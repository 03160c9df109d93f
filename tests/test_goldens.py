"""What one small model of every family computes stays what it was, whatever is rebuilt around it.

    python tests/test_goldens.py FAMILY ...

writes the goldens of families anew, where what they compute is meant to change.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
from families import MAIN, build, images_of, place_codes

from gated_pixelcnn.runs import checkpoints

FOLDER = Path(__file__).parent / "goldens"
# Colours, a class and maps of it for the first family; the others as in `families`.
OPTIONS = {
    "gated_pixelcnn": {
        "image_shape": (4, 5, 3),
        "features": 6,
        "condition": "label",
        "condition_size": 3,
        "spatial_features": 2,
    },
    "pixelcnn_pp": {"image_shape": (4, 4, 3), "scales": 2},
    "vq_prior": {"image_shape": (8, 12, 3), "condition": "label", "condition_size": 3},
    "vq_vae": {"image_shape": (8, 12, 3), "halvings": 2, "blocks": 1},
}


def built(family):
    model = build(family, dtype="float64", **OPTIONS.get(family, {}))
    model.build()
    return model, checkpoints.named("weights", model.weights)


def computed(model):
    """What the model makes of two images, and two images that it draws."""
    images = images_of(model, 2)
    condition = np.array([2, 0]) if model.condition_kind else None
    if not hasattr(model, "log_prob_terms"):
        return {"output": model(images).numpy()}
    return {
        "log_prob": model.log_prob_terms(images, condition).numpy(),
        "samples": model.sample(2, condition, seed=1, jit=False).numpy(),
    }


@pytest.mark.parametrize("family", MAIN)
def test_a_family_computes_what_it_did(family):
    model, variables = built(family)
    with np.load(FOLDER / f"{family}.npz") as file:
        golden = dict(file)
    checkpoints.assign(variables, golden)
    for name, value in computed(model).items():
        np.testing.assert_allclose(value, golden[name], rtol=1e-6, err_msg=name)


if __name__ == "__main__":
    for family in sys.argv[1:]:
        model, variables = built(family)
        random = np.random.default_rng(0)
        for name in sorted(variables):
            shape = variables[name].shape
            size = np.sqrt(np.prod(shape[:-1]) or 1)
            variables[name].assign(random.normal(size=shape) / size)
        if family in ("vq_vae", "vq_prior"):
            place_codes(model, random)
        np.savez(FOLDER / f"{family}.npz", **checkpoints.values(variables), **computed(model))
