"""Measures of the latent variables of a model."""

import numpy as np
import tensorflow as tf

from gated_pixelcnn.evaluation.images import filled_up
from gated_pixelcnn.models.latent_variable import ACTIVE, LatentVariableModel
from gated_pixelcnn.spec import bits_per_dim

# {name: (tag in TensorBoard, description)}
DETAILS = {
    "active_units": (
        "latent/active_units",
        f"Latent dimensions whose KL divergence, averaged over the images, is above {ACTIVE} nats. "
        "An image tells it by one draw: of fewer than 500 images chance makes more active.",
    ),
    "kl_per_dimension": (
        "latent/kl_per_dimension",
        "KL divergence of q(z | x) from p(z) in nats, averaged over the images and all latent "
        "dimensions.",
    ),
    "kl_of_units": (
        "latent/kl_of_units",
        "KL divergences of all latent dimensions in nats, averaged over the images.",
    ),
    "kl_bits_per_dim": (
        "latent/kl_bits_per_dim",
        "What z has in the bits/dim of an image: near 0, the decoder ignores z (posterior "
        "collapse).",
    ),
    "auxiliary_bits_per_dim": (
        "latent/auxiliary_bits_per_dim",
        "−log p(y | z) of the auxiliary images y per number of y; no part of the bound.",
    ),
}


class Latents:
    """KL divergences of a model's latent variables."""

    scalars = DETAILS

    def applies_to(self, model):
        """See `evaluators`; a decoder that is trained by itself does not see z."""
        return isinstance(model, LatentVariableModel) and model.uses_latents

    def evaluate(self, model, images):
        """The numbers of `details_of` under "details"."""
        details = self.details_of(model, images)
        return {"details": {name: x for name, x in details.items() if np.ndim(x) == 0}}

    def details_of(self, model, images):
        """Numbers, and of `kl_of_units` an array that is shown by its distribution; see DETAILS."""
        divergence, others = 0.0, {}
        for batch, _ in images.batches():
            # A partial batch is filled up: no graph is traced again for it.
            real = np.arange(images.size) < len(batch)
            whole = filled_up(batch, images.size)
            found = dict(model.latent_sums(whole, tf.constant(real, tf.float64)))
            divergence += found.pop("divergence").numpy()
            others = {name: others.get(name, 0.0) + float(x) for name, x in found.items()}
        divergence /= images.num
        return {
            "active_units": int((divergence > ACTIVE).sum()),
            "kl_of_units": divergence.ravel(),
            "kl_per_dimension": float(divergence.mean()),
            "kl_bits_per_dim": float(bits_per_dim(divergence.sum(), model.image_shape)),
            **{name: x / images.num for name, x in others.items()},
        }
