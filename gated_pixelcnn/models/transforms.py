"""Views of images: functions of an image that leave something out."""

import tensorflow as tf

from gated_pixelcnn.spec import Array, integer_type


class Half:
    """The image at half its size: every pixel the mean of 2×2, rounded (halves up).

    Attributes:
      image_shape, levels: of what comes out.
      term: what it is called in reports.
      halves: whether it has half the size.
    """

    term = "small image"
    halves = True
    factor = 2

    def __init__(self, image_shape: tuple[int, int, int], levels: int) -> None:
        """Args: image_shape: (H, W, C) and levels: of the images that go in.

        Raises:
          ValueError: a size that cannot be divided.
        """
        height, width, channels = image_shape
        factor = self.factor
        if height % factor or width % factor:
            what = "halved: both must be even" if self.halves else f"divided by {factor}"
            raise ValueError(
                f"images of {height}x{width} (height x width) cannot be {what}; "
                "data.image_size brings images to another size."
            )
        self.image_shape, self.levels = (height // factor, width // factor, channels), levels

    def __call__(self, images: Array) -> tf.Tensor:
        """Integers [N, H, W, C] → the same [N, H / factor, W / factor, C]."""
        height, width, channels = self.image_shape
        factor, pixels = self.factor, self.factor**2
        squares = tf.cast(images, tf.int32)
        squares = tf.reshape(squares, [-1, height, factor, width, factor, channels])
        sums = tf.reduce_sum(squares, axis=[2, 4])
        return tf.cast((sums + pixels // 2) // pixels, integer_type(self.levels))


class Quarter(Half):
    """The image at a quarter of its height and width, see `Half`."""

    halves = False
    factor = 4


class Whole:
    """The image itself; for the attributes see `Half`."""

    term = "image"
    halves = False

    def __init__(self, image_shape: tuple[int, int, int], levels: int) -> None:
        """Args: image_shape: (H, W, C) and levels: of the images."""
        self.image_shape, self.levels = tuple(image_shape), levels

    def __call__(self, images: Array) -> tf.Tensor:
        """Integers [N, H, W, C] → the same, in the type of the levels."""
        return tf.cast(images, integer_type(self.levels))


class Coarse:
    """A view in fewer levels: ⌊v · b / levels⌋; for the attributes see `Half`."""

    def __init__(self, view: "View", levels: int) -> None:
        """Makes the transform.

        Args:
          view: another transform.
          levels: b, of what comes out.

        Raises:
          ValueError: more levels than there are, or fewer than two.
        """
        if not 2 <= levels <= view.levels:
            raise ValueError(f"levels of a view must be 2…{view.levels}, got {levels}.")
        self.view, self.levels = view, levels
        self.image_shape, self.term, self.halves = view.image_shape, view.term, view.halves

    def __call__(self, images: Array) -> tf.Tensor:
        """Integers [N, H, W, C] → integers of the shape of the view."""
        values = tf.cast(self.view(images), tf.int64)  # the product may need 32 bits
        return tf.cast(values * self.levels // self.view.levels, integer_type(self.levels))


class Grayscale:
    """The image in g = min(16, levels) levels of gray.

    ⌊round(y)·g / levels⌋, y = .299 R + .587 G + .114 B.

    Attributes: see `Half`.
    """

    term = "gray image"
    halves = False
    weights = (299, 587, 114)  # in thousandths, so that all machines round alike

    def __init__(self, image_shape: tuple[int, int, int], levels: int) -> None:
        """Args: image_shape: (H, W, C) and levels: of the images that go in.

        Raises:
          ValueError: images without three colours.
        """
        height, width, channels = image_shape
        if channels != 3:
            raise ValueError(
                f"images of {channels} colours have no grayscale view: it is of images of three "
                "(data.grayscale=false)."
            )
        self.image_shape, self.levels = (height, width, 1), min(16, levels)
        self._levels = levels

    def __call__(self, images: Array) -> tf.Tensor:
        """Integers [N, H, W, 3] → uint8 [N, H, W, 1]."""
        y = tf.reduce_sum(tf.cast(images, tf.int32) * self.weights, axis=-1, keepdims=True)
        y = (y + 500) // 1000
        return tf.cast(y * self.levels // self._levels, tf.uint8)  # at most 16


View = Half | Whole | Coarse | Grayscale
# What leaves out enough for a model of its own.
TRANSFORMS: dict[str, type[Half | Grayscale]] = {"half": Half, "grayscale": Grayscale}
VIEWS: dict[str, type[Half | Whole | Grayscale]] = {
    "image": Whole,
    "half": Half,
    "quarter": Quarter,
    "grayscale": Grayscale,
}
