"""How a model with a codebook uses it."""

import numpy as np
import tensorflow as tf

from gated_pixelcnn.evaluation.images import filled_up
from gated_pixelcnn.models.capabilities import HasCodes


class CodeUsage:
    """Share of the codes that images use, and the perplexity of their distribution.

    Of two maps of codes, with a codebook each, the share is of the entries of both, and the
    perplexity is exp of the mean over all codes: that of a code's own map, so log2 of it are the
    bits of a code by its frequency in its map.
    """

    # {name: (tag in TensorBoard, description)}
    scalars = {
        "codes_used": (
            "codes/used",
            "Share of the codebook that the images use at least once, 0…1; it grows with their "
            "number.",
        ),
        "perplexity": (
            "codes/perplexity",
            "exp of the entropy of how often each code is used: as many codes, used alike, would "
            "tell as much. log2 of it are the bits of a code by its frequency (in its map).",
        ),
        "quantization_error": (
            "codes/quantization_error",
            "Mean squared distance between the encoder's vectors and their codes, per number.",
        ),
    }

    def applies_to(self, model):
        """See `evaluators`."""
        return isinstance(model, HasCodes)

    def evaluate(self, model, images):
        """The numbers of `details_of` under "details"."""
        return {"details": self.details_of(model, images)}

    def details_of(self, model, images):
        """{name: number}, see `scalars`."""
        counts, distance = 0.0, 0.0
        for batch, _ in images.batches():
            # A partial batch is filled up: no graph is traced again for it.
            real = np.arange(images.size) < len(batch)
            whole = filled_up(batch, images.size)
            found = model.code_sums(whole, tf.constant(real, tf.float64))
            counts += found[0].numpy()  # [maps, K]
            distance += float(found[1])
        used, total = counts > 0, counts.sum()
        shares = counts / counts.sum(axis=1, keepdims=True)
        nats = -np.sum(counts[used] * np.log(shares[used])) / total
        return {
            "codes_used": float(used.mean()),
            "perplexity": float(np.exp(nats)),
            "quantization_error": distance / float(total),
        }
