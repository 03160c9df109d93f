"""Classification by a generative model."""

import numpy as np

from gated_pixelcnn.evaluation.bits import check_finite, filled_terms
from gated_pixelcnn.models.density_model import DensityModel


class Classification:
    """Classifies images by Bayes' rule, p(label | x) ∝ p(x | label), all labels as probable.

    It takes as many forward passes of every image as there are classes.
    """

    needs = "a model that is conditioned on the class (the label)"

    def applies_to(self, model):
        """See `evaluators`."""
        return isinstance(model, DensityModel) and model.condition_spec.kind == "label"

    def evaluate(self, model, images):
        """The accuracy: share of the images whose own label is the most probable, 0…1."""
        return {"accuracy": classify(model, images)["accuracy"]}


def classify(model, images):
    """Classifies images, see `Classification`.

    Args:
      model: a density model conditioned on the label.
      images: `Images` with labels.

    Returns:
      A dict with
        accuracy: share of the images whose own label is the most probable, 0…1,
        label_log_probs: nats of every image given every label, float64 [N, classes],
        labels: the model's label of every image [N].

    Raises:
      ValueError: a model or images without labels.
      FloatingPointError: a log-probability is NaN or infinite; the message names the image.
    """
    spec = model.condition_spec
    if spec.kind != "label" or not images.split.has_labels:
        raise ValueError("only images with labels can be classified, by a model conditioned on it.")
    nats, truth = [], []
    for batch, labels in images.batches():
        given = [np.full(len(batch), label, np.int32) for label in range(spec.size)]
        terms = [filled_terms(model.log_prob_terms, batch, label, images.size) for label in given]
        nats.append(np.sum(terms, axis=2).T)
        check_finite(nats[-1], sum(map(len, truth)))
        truth.append(labels)
    nats, truth = np.concatenate(nats), np.concatenate(truth)
    return {
        "accuracy": float(np.mean(nats.argmax(axis=1) == truth)),
        "label_log_probs": nats,
        "labels": truth,
    }
