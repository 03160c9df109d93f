"""The squared error of reconstructions."""

import math

import numpy as np

from gated_pixelcnn.evaluation.images import Images, check_numbers
from gated_pixelcnn.models.families.mse_autoencoder import MSEAutoencoder

BASELINE_IMAGES = 50_000  # at most so many are averaged


class Reconstruction:
    """The squared error of what an autoencoder makes of images, and of their mean."""

    name, unit = "mse", "MSE"

    def applies_to(self, model):
        """See `evaluators`."""
        return isinstance(model, MSEAutoencoder)

    def evaluate(self, model, images):
        """A dict with code_size, num_images, mse and its standard_error, and psnr in dB."""
        errors = squared_errors(model.reconstruct_graph, images, model.levels)
        num = len(errors)
        return {
            "code_size": model.code_size,
            "num_images": num,
            "mse": float(errors.mean()),
            "standard_error": float(errors.std(ddof=1) / math.sqrt(num)) if num > 1 else None,
            "psnr": psnr(errors.mean()),
        }

    def loss(self, model, result):
        """See `evaluators`."""
        return result["mse"]


class MeanImage:
    """The baseline: the error of the mean of the training images."""

    def applies_to(self, model):
        """See `evaluators`."""
        return isinstance(model, MSEAutoencoder)

    def evaluate(self, model, images):
        """A dict with baselines, by name."""
        mean = mean_image(Images(images.train, num_images=BASELINE_IMAGES), model.levels)
        error = squared_errors(lambda _: mean, images, model.levels).mean()
        return {"baselines": {"mean_image": float(error)}}


def psnr(mse):
    """The peak signal-to-noise ratio in dB of a mean squared error of colours from 0 to 1."""
    return -10 * math.log10(max(mse, 1e-12))  # at most 120 dB: JSON has no infinity


def squared_errors(function, images, levels):
    """Errors of a function's reconstructions of images.

    Args:
      function: integers [N, H, W, C] → floats 0…1 that broadcast to that shape, always called with
        as many images.
      images: `Images`.
      levels: number of values of a colour.

    Returns:
      Float64 [N]: of every image the mean over its colours of the squared difference, 0…1.

    Raises:
      FloatingPointError: an error is NaN or infinite; the message names the image.
    """

    def errors(batch):
        found = np.broadcast_to(np.asarray(function(batch), np.float64), batch.shape)
        return np.square(found - batch / (levels - 1)).mean(axis=(1, 2, 3))

    found = images.run(errors)
    check_numbers(found, "the squared error", "the model gives no valid reconstruction of it")
    return found


def mean_image(images, levels):
    """The mean of `Images`.

    Args:
      images: `Images`.
      levels: number of values of a colour.

    Returns:
      Float64 0…1 [H, W, C]: of all images that are the same for every code, the one of the least
      squared error.
    """
    total = sum(batch.sum(axis=0, dtype=np.float64) for batch, _ in images.batches())
    return total / images.num / (levels - 1)
