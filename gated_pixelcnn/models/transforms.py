"""What an auxiliary image is made of: functions of an image that leave something out."""

import tensorflow as tf


class Half:
    """The image at half its size: every pixel the mean of 2×2, rounded (halves up).

    Attributes:
      image_shape, levels: of what comes out.
      term: what it is called in reports.
    """

    term = "small image"

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


TRANSFORMS = {"half": Half}
