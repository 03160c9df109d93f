"""The importance-weighted bound of a model with latent variables."""

import math

import numpy as np

from gated_pixelcnn.evaluation.bits import check_finite
from gated_pixelcnn.evaluation.images import filled_up
from gated_pixelcnn.models.latent_variable import LatentVariableModel
from gated_pixelcnn.spec import bits_per_dim


class ImportanceWeighted:
    """The bound of several importance samples, which is tighter (Burda et al., 2016)."""

    needs = "--workdir of a model with latent variables (vae or agave)"

    def __init__(self, draws):
        """Args: draws: importance samples of z for every image, at least 1."""
        self.draws = draws

    def applies_to(self, model):
        """See `evaluators`."""
        return isinstance(model, LatentVariableModel)

    def evaluate(self, model, images):
        """A dict with bits_per_dim and its standard_error as of `evaluate`, and draws.

        Raises:
          ValueError: no images, or images that do not fit the model.
          FloatingPointError: see `evaluate`.
        """
        nats, num = [], 0
        for batch, _ in images.batches():
            whole = filled_up(batch, images.size)
            found = model.importance_log_prob(whole, self.draws)[: len(batch)]
            check_finite(found, num)
            nats.append(found)
            num += len(batch)
        if not nats:
            raise ValueError("there are no images to evaluate.")
        bits = bits_per_dim(-np.concatenate(nats), model.image_shape)
        error = float(bits.std(ddof=1) / math.sqrt(num)) if num > 1 else None
        found = {
            "draws": self.draws,
            "bits_per_dim": float(bits.mean()),
            "standard_error": error,
        }
        return {"importance_weighted": found}
