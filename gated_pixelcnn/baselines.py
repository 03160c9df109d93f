"""What simple methods need for the same images: the figures beside which a model is read."""

import io
import math

import numpy as np
from PIL import Image


def baselines(train_batches, test_batches, image_shape, levels):
    """Code lengths of test images under methods that everybody knows.

    - uniform: every value is as likely as any other, log2(levels).
    - histogram: every pixel and colour on its own, with the frequencies of the training images at
      its position. 1/2 is added to every count (Krichevsky and Trofimov), so that a value that
      was never seen has a probability too.
    - png, webp: the size of the images' files, headers included (57 bytes of a PNG, about 0.6
      bits/dim of a gray 28x28 image), for gray and RGB images. See `png_bytes`, `webp_bytes`.

    Args:
      train_batches: iterable of training images, integers 0…levels-1 [n, H, W, C].
      test_batches: iterable of test images in the same form.
      image_shape: (H, W, C).
      levels: number of values that a colour of a pixel can take, 2…256.

    Returns:
      A dict from the names above to mean bits/dim; only those that apply: "histogram" needs
      training images, "png" and "webp" need 1 or 3 channels.
    """
    histogram = _Histogram(image_shape, levels)
    for images in train_batches:
        histogram.count(images)
    totals = {}
    if histogram.num_images:
        totals["histogram"] = histogram.bits
    if image_shape[-1] in (1, 3):
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
      levels: number of values, 2…256.

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
    """Independent frequencies of the values at each position and colour."""

    def __init__(self, image_shape, levels):
        self.num_images = 0
        self._levels = levels
        self._first = np.arange(math.prod(image_shape)) * levels  # Where a position's counts begin.
        self._counts = np.zeros(math.prod(image_shape) * levels, np.int64)

    def _entries(self, images):
        return np.asarray(images).reshape(len(images), -1) + self._first

    def count(self, images):
        """Adds training images."""
        self.num_images += len(images)
        entries = self._entries(images).ravel()
        self._counts += np.bincount(entries, minlength=self._counts.size)

    def bits(self, images):
        """Total code length of images."""
        counts = self._counts[self._entries(images)]
        total = self.num_images + 0.5 * self._levels
        return float(-np.log2((counts + 0.5) / total).sum())
