"""Bits/dim of simple methods for the same images, to compare a model with."""

import functools
import io
import math

import numpy as np
from PIL import Image

from gated_pixelcnn.evaluation.images import split_batches
from gated_pixelcnn.models.density_model import DensityModel

TRAINING_IMAGES = 50_000  # at most so many are fitted to
MOST_GAUSSIAN = 4096  # values of an image


class Baselines:
    """Simple methods for the same images, fitted to images of training."""

    def applies_to(self, model):
        """See `evaluators`."""
        return isinstance(model, DensityModel)

    def evaluate(self, model, images):
        """The dict of `baselines` under that name."""
        return {
            "baselines": baselines(
                (batch for batch, _ in split_batches(images.train, 256, TRAINING_IMAGES)),
                (batch for batch, _ in split_batches(images.split, 256, images.num_images)),
                model.image_spec,
            )
        }


def baselines(train_batches, test_batches, spec):
    """Code lengths of test images under methods that everybody knows.

    - uniform: every value is as likely as any other, log2(levels).
    - histogram: every pixel and colour on its own, with the frequencies of the training images at
      its position. 1/2 is added to every count (Krichevsky and Trofimov), so that a value that
      was never seen has a probability too.
    - unigram: of categories, every one on its own with its frequency at all positions.
    - gaussian: a multivariate Gaussian with the mean and covariance of the training images, of
      values to which noise from ±1/2 is added, so that its density is a bound: at most so many
      bits/dim, by the mean over that noise (van den Oord et al., 2016b, table 1: 4.70 on CIFAR-10).
      Of images of at most MOST_GAUSSIAN values, as it holds a matrix of that size.
    - png, webp: the size of the images' files, headers included (57 bytes of a PNG, about 0.6
      bits/dim of a gray 28x28 image), for gray and RGB images. See `png_bytes`, `webp_bytes`.

    Args:
      train_batches: iterable of training images, integers 0…levels-1 [n, H, W, C].
      test_batches: iterable of test images in the same form.
      spec: the `ImageSpec` of the images.

    Returns:
      A dict from the names above to mean bits/dim; only those that apply: "histogram",
      "unigram" and "gaussian" need training images, "gaussian" values that have an order, "png" and
      "webp" 1 or 3 channels of at most 256 levels.
    """
    image_shape, levels = spec.shape, spec.levels
    fitted = {"histogram": _Histogram(image_shape, levels)}
    if spec.is_categorical:
        fitted["unigram"] = _Histogram(image_shape, levels, pooled=True)
    if math.prod(image_shape) <= MOST_GAUSSIAN and not spec.is_categorical:
        fitted["gaussian"] = _Gaussian(image_shape)
    num_trained = 0
    for images in train_batches:
        num_trained += len(images)
        for baseline in fitted.values():
            baseline.count(images)
    totals = {name: baseline.bits for name, baseline in fitted.items()} if num_trained else {}
    if image_shape[-1] in (1, 3) and levels <= 256:
        totals["png"] = lambda images: 8 * sum(len(png_bytes(image, levels)) for image in images)
        totals["webp"] = lambda images: 8 * sum(len(webp_bytes(image)) for image in images)

    bits, num_images = dict.fromkeys(totals, 0.0), 0
    for images in test_batches:
        images = np.asarray(images)
        num_images += len(images)
        for name, total in totals.items():
            bits[name] += total(images)
    if not num_images:
        raise ValueError("there are no images to compare.")
    dims = num_images * math.prod(image_shape)
    return {"uniform": math.log2(levels), **{name: bits[name] / dims for name in bits}}


def png_bytes(image, levels=256):
    """A lossless PNG file of an image, which pillow optimises.

    Gray images of 2 levels are stored in 1 bit per pixel, all others in 8 bits per value, as
    0…levels-1: deflate finds the unused bits, and finds more than in pixels packed in 2 or 4 bits.

    Args:
      image: uint8 [H, W, C], C is 1 or 3, values 0…levels-1.
      levels: number of values, 2…65,536.

    Returns:
      The bytes of the file.
    """
    if image.shape[-1] == 3:
        picture = Image.fromarray(image)
    elif levels == 2:
        picture = Image.fromarray(image[..., 0] * 255).convert("1", dither=Image.Dither.NONE)
    else:
        picture = Image.fromarray(image[..., 0])
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def webp_bytes(image):
    """A lossless WebP file of an image, which pillow writes with default effort (method 4).

    WebP knows RGB only; equal colours cost next to nothing, few levels become a palette.

    Args:
      image: uint8 [H, W, C], C is 1 or 3.

    Returns:
      The bytes of the file.
    """
    picture = Image.fromarray(np.broadcast_to(image, (*image.shape[:2], 3)))
    file = io.BytesIO()
    picture.save(file, "WEBP", lossless=True, quality=100, method=4)
    return file.getvalue()


class _Histogram:
    """Independent frequencies of the values at each position and colour, or of each colour."""

    def __init__(self, image_shape, levels, pooled=False):
        self.num_counted, self._per_image = 0, math.prod(image_shape[:2]) if pooled else 1
        self._levels = levels
        places = np.arange(math.prod(image_shape))  # of counts
        places = places % image_shape[-1] if pooled else places
        self._first = places * levels  # where the counts of a place begin
        self._counts = np.zeros((places.max() + 1) * levels, np.int64)

    def _entries(self, images):
        return np.asarray(images).reshape(len(images), -1) + self._first

    def count(self, images):
        """Adds training images."""
        self.num_counted += len(images) * self._per_image
        np.add.at(self._counts, self._entries(images).ravel(), 1)  # a bincount is as large as they

    def bits(self, images):
        """Total code length of images."""
        counts = self._counts[self._entries(images)]
        total = self.num_counted + 0.5 * self._levels
        return float(-np.log2((counts + 0.5) / total).sum())


class _Gaussian:
    """A multivariate Gaussian over images to whose values noise from ±1/2 is added."""

    def __init__(self, image_shape):
        values = math.prod(image_shape)
        self.num_images = 0
        self._sum, self._products = np.zeros(values), np.zeros((values, values))

    def count(self, images):
        """Adds training images."""
        x = np.asarray(images, np.float64).reshape(len(images), -1)
        self.num_images += len(x)
        self._sum += x.sum(axis=0)
        self._products += x.T @ x

    @functools.cached_property
    def _fitted(self):
        """Mean, inverse Cholesky factor, and the bits of an image at the mean."""
        mean = self._sum / self.num_images
        covariance = self._products / self.num_images - np.outer(mean, mean)
        covariance[np.diag_indices_from(covariance)] += 1 / 12  # the variance of the noise
        factor = np.linalg.cholesky(covariance)
        whitening = np.linalg.inv(factor)
        nats = np.log(np.diag(factor)).sum() + len(mean) / 2 * math.log(2 * math.pi)
        nats += np.square(whitening).sum() / 24  # the noise of the image itself
        return mean, whitening, nats / math.log(2)

    def bits(self, images):
        """Total code length of images, on average over the noise."""
        mean, whitening, at_mean = self._fitted
        x = np.asarray(images, np.float64).reshape(len(images), -1) - mean
        squares = np.square(x @ whitening.T).sum()
        return float(squares / (2 * math.log(2)) + len(x) * at_mean)
