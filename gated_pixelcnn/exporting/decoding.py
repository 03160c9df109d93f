"""PNG and JPEG files decoded inside of a graph, as the data pipeline decodes them outside."""

import tensorflow as tf

from gated_pixelcnn.data.images import LUMA

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
_HEADER = 24  # bytes of a PNG file up to the end of its width and height


def decode(files, image_shape, levels):
    """Decodes image files of the right size.

    Args:
      files: string tensor [N], the bytes of PNG or JPEG files.
      image_shape: (H, W, C) that they must have; colour pictures become gray where C is 1.
      levels: number of values: bytes become floor(x * levels / 256).

    Returns:
      uint8 [N, H, W, C], values 0…levels-1. The graph ends in InvalidArgument where a file is
      neither PNG nor JPEG, is damaged, or is of another size; a size is looked at before anything
      is decoded, so a small file cannot ask for a lot of memory.
    """
    height, width, channels = image_shape

    def decode_one(file):
        png = starts_with(file, PNG)
        known = (png | starts_with(file, JPEG)) & (tf.strings.length(file) >= _HEADER)
        message = "image_bytes must be whole PNG or JPEG files"
        with tf.control_dependencies([tf.debugging.Assert(known, [message])]):
            file = tf.identity(file)
        size = tf.cond(png, lambda: png_size(file), lambda: tf.image.extract_jpeg_shape(file)[:2])
        message = f"image_bytes must hold images of {height}x{width} (height x width)"
        fits = tf.reduce_all(tf.equal(size, [height, width]))
        with tf.control_dependencies([tf.debugging.Assert(fits, [message, size])]):
            file = tf.identity(file)
        return tf.ensure_shape(
            tf.cond(
                png,
                lambda: tf.io.decode_png(file, channels=3),
                lambda: tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE"),
            ),
            (height, width, 3),
        )

    spec = tf.TensorSpec((height, width, 3), tf.uint8)
    images = tf.cast(tf.map_fn(decode_one, files, fn_output_signature=spec), tf.int32)
    if channels == 1:
        images = luma(images)
    return tf.cast(images * levels // 256, tf.uint8)


def luma(images):
    """Gray of int32 [..., 3] as [..., 1]; see `data.images.to_gray`."""
    return (tf.reduce_sum(images * LUMA, axis=-1, keepdims=True) + 32768) // 65536


def starts_with(file, start):
    """Whether a string tensor begins with these bytes."""
    return tf.equal(tf.strings.substr(file, 0, len(start)), start)


def png_size(file):
    """(height, width), int32 [2], from the header of a PNG file."""
    width_and_height = tf.strings.substr(file, 16, 8)
    return tf.io.decode_raw(width_and_height, tf.int32, little_endian=False)[::-1]
