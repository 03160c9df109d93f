"""What an auxiliary image is made of: functions of an image that leave something out."""

import tensorflow as tf


class Half:
    """The image at half its size: every pixel the mean of 2×2, rounded (halves up).

    Attributes:
      image_shape, levels: of what comes out.
      term: what it is called in reports.
      halves: whether it has half the size.
    """

    term = "small image"
    halves = True

    def __init__(self, image_shape, levels):
        """Args: image_shape: (H, W, C) and levels: of the images that go in.

        Raises:
          ValueError: a size that is not even.
        """
        height, width, channels = image_shape
        if height % 2 or width % 2:
            raise ValueError(
                f"images of {height}x{width} (height x width) cannot be halved: both must be even; "
                "data.image_size brings images to another size."
            )
        self.image_shape, self.levels = (height // 2, width // 2, channels), levels

    def __call__(self, images):
        """Integers [N, H, W, C] → uint8 [N, H/2, W/2, C]."""
        height, width, channels = self.image_shape
        squares = tf.reshape(tf.cast(images, tf.int32), [-1, height, 2, width, 2, channels])
        return tf.cast((tf.reduce_sum(squares, axis=[2, 4]) + 2) // 4, tf.uint8)


class Gray:
    """The image in at most 16 levels of gray: ⌊round(y)·16 / levels⌋, y = .299 R + .587 G + .114 B.

    Attributes: see `Half`.
    """

    term = "gray image"
    halves = False
    weights = (299, 587, 114)  # in thousandths, so that all machines round alike

    def __init__(self, image_shape, levels):
        """Args: image_shape: (H, W, C) and levels: of the images that go in.

        Raises:
          ValueError: images without three colours.
        """
        height, width, channels = image_shape
        if channels != 3:
            raise ValueError(
                f"images of {channels} colours have no gray view; the transform 'gray' is of "
                "images of three (data.gray=false)."
            )
        self.image_shape, self.levels = (height, width, 1), min(16, levels)
        self._levels = levels

    def __call__(self, images):
        """Integers [N, H, W, 3] → uint8 [N, H, W, 1]."""
        y = tf.reduce_sum(tf.cast(images, tf.int32) * self.weights, axis=-1, keepdims=True)
        y = (y + 500) // 1000
        return tf.cast(y * self.levels // self._levels, tf.uint8)


TRANSFORMS = {"half": Half, "gray": Gray}
