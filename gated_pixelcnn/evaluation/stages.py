"""Bits/dim of the stages of a model, each in its own dimensions."""

import numpy as np
import tensorflow as tf

from gated_pixelcnn.evaluation.images import filled_up
from gated_pixelcnn.models.two_stage_model import TwoStageModel
from gated_pixelcnn.spec import bits_per_dim


class Stages:
    """Bits/dim of every view given the one before it, per value of that view.

    That is how papers tell them (Kolesnikov and Lampert, 2017, table 2); the terms of the bound
    have them per value of the whole image. It takes one more pass over the images.
    """

    def applies_to(self, model):
        """See `evaluators`."""
        return isinstance(model, TwoStageModel)

    def evaluate(self, model, images):
        """{"stages": [{"image_shape", "levels", "bits_per_dim"}]}, the simplest view first."""

        @tf.function(reduce_retracing=True, autograph=False)
        def score(batch, condition):
            return _nats(model, *model.checked(batch, condition))

        of_data, nats = model.condition_spec.of_data, []
        for batch, beside in images.batches():
            condition = of_data(batch, beside)
            if condition is not None:
                condition = filled_up(condition, images.size)
            found = score(filled_up(batch, images.size), condition)
            nats.append(np.stack(found, axis=1)[: len(batch)])
        nats = np.concatenate(nats).mean(axis=0)
        return {
            "stages": [
                {
                    "image_shape": list(spec.shape),
                    "levels": spec.levels,
                    "bits_per_dim": float(bits_per_dim(-mean, spec.shape)),
                }
                for spec, mean in zip(_specs(model), nats, strict=True)
            ]
        }


def _specs(model):
    """What `_nats` are of."""
    if not isinstance(model, TwoStageModel):
        return [model.image_spec]
    return [*_specs(model.prior), model.conditional.image_spec]


def _nats(model, images, condition):
    """Nats of the stages of a model, the simplest first, each [N]."""
    if not isinstance(model, TwoStageModel):
        return [tf.reduce_sum(model.log_prob_terms_of(images, condition), axis=1)]
    view, rest = model.parts_of(images)
    maps = model.maps(view, condition)
    last = tf.reduce_sum(model.conditional.log_prob_terms_of(rest, maps), axis=1)
    return [*_nats(model.prior, view, condition), last]
