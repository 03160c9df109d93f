"""How many bits a code of an image costs by its prior, and by simple methods."""

import math

import numpy as np

from gated_pixelcnn.evaluation.baselines import TRAINING_IMAGES, baselines
from gated_pixelcnn.evaluation.images import filled_up, split_batches
from gated_pixelcnn.models.capabilities import HasCodes

_METHODS = ("unigram", "histogram")  # of `baselines`


def has_prior(model):
    """Whether a model has codes and a prior of them that is trained."""
    return isinstance(model, HasCodes) and model.trains_on_codes


class CodePrior:
    """Bits of a code by the prior, given the condition of the image."""

    # {name: (tag in TensorBoard, description)}
    scalars = {
        "bits_per_code": (
            "bits_per_code/validation",
            "Of the averaged weights (train.ema_decay) on the codes of the validation images.",
        )
    }

    def applies_to(self, model):
        """See `evaluators`."""
        return has_prior(model)

    def evaluate(self, model, images):
        """The numbers of `details_of` under "details"."""
        return {"details": self.details_of(model, images)}

    def details_of(self, model, images):
        """{name: number}, see `scalars`."""
        of_data, nats = model.condition_spec.of_data, 0.0
        for batch, labels in images.batches():
            condition = of_data(batch, labels)
            if condition is not None:
                condition = filled_up(condition, images.size)
            codes = model.as_images(model.encode(filled_up(batch, images.size)))
            found = model.prior.log_prob(codes, condition)[: len(batch)]
            nats += float(np.sum(found, dtype=np.float64))
        codes = images.num * math.prod(model.codes_shape)
        return {"bits_per_code": -nats / (codes * math.log(2))}


class CodeBaselines:
    """Bits of a code by frequencies of the codes of training images.

    These are counted over all places, or place by place, see `baselines`.
    """

    def applies_to(self, model):
        """See `evaluators`."""
        return has_prior(model)

    def evaluate(self, model, images):
        """{"details": {"unigram_bits_per_code": …, "histogram_bits_per_code": …}}."""
        splits = ((images.train, TRAINING_IMAGES), (images.split, images.num))
        batches = (_codes(model, split, images.batch_size, num) for split, num in splits)
        found = baselines(*batches, model.prior.image_spec)
        return {"details": {f"{name}_bits_per_code": found[name] for name in _METHODS}}


def _codes(model, split, size, num):
    """Codes of images, as images of the prior, in batches."""
    dtype = model.prior.image_spec.dtype.as_numpy_dtype
    for batch, _ in split_batches(split, size, num):
        codes = model.as_images(model.encode(filled_up(batch, size)))
        yield np.asarray(codes)[: len(batch)].astype(dtype)
