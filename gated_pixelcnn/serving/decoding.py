"""PNG and JPEG files decoded inside of a graph, as the data pipeline decodes them outside."""

import tensorflow as tf

from gated_pixelcnn.data.preprocessing import BYTES, LEVELS, LUMA
from gated_pixelcnn.graph_checks import after, required

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
_HEADER = 26  # bytes of a PNG file up to the end of its width, height, depth and kind of colour
_PNG_GRAY, _PNG_PALETTE, _PNG_GRAY_ALPHA = 0, 3, 4  # kinds of colour


def decode(files, image_shape, levels, values=BYTES, gray=False):
    """Decodes image files of the right size.

    Args:
      files: string tensor [N], the bytes of PNG or JPEG files.
      image_shape: (H, W, C) that they must have.
      levels: number of values: bytes become floor(x * levels / 256).
      values: whether files hold levels or bytes, as those of the run did.
      gray: whether colours become gray where C is 1; else they are refused.

    Returns:
      uint8 [N, H, W, C], values 0…levels-1. The graph ends in InvalidArgument where a file is
      neither PNG nor JPEG, is damaged, has transparent pixels, 16 bits per channel or CMYK colours,
      is of another size, has colours that are not wanted, holds no levels though it should, or may
      hold levels though it should not; a size is looked at before anything is decoded, so a small
      file cannot ask for a lot of memory.
    """
    height, width, channels = image_shape

    def decode_one(file):
        png = starts_with(file, PNG)
        known = (png | starts_with(file, JPEG)) & (tf.strings.length(file) >= _HEADER)
        file = after([required(known, "image_bytes must be whole PNG or JPEG files")], file)
        size = tf.cond(png, lambda: png_size(file), lambda: tf.image.extract_jpeg_shape(file)[:2])
        message = f"image_bytes must hold images of {height}x{width} (height x width) but has"
        file = after([required(tf.equal(size, [height, width]), message, size)], file)
        image = tf.cond(png, lambda: decode_png(file), lambda: decode_jpeg(file))
        if channels == 1 and not gray:
            image = after([required(is_gray(file, png, image), "image_bytes must be gray")], image)
        return tf.ensure_shape(image, (height, width, 3))

    spec = tf.TensorSpec((height, width, 3), tf.uint8)
    # Its name is in the decoders' messages.
    images = tf.map_fn(decode_one, files, fn_output_signature=spec, name="image_bytes")
    images = tf.cast(images, tf.int32)
    if channels == 1:
        images = luma(images)
    if values == LEVELS:
        message = f"image_bytes must hold images of values 0…{levels - 1}, as those of training had"
        return tf.cast(after([required(images < levels, message)], images), tf.uint8)
    if levels < 256:
        highest = tf.reduce_max(images, axis=(1, 2, 3))
        message = (
            f"image_bytes must hold bytes 0…255, but an image has no value above {levels - 1}, so "
            "it may hold levels: send those to log_prob"
        )
        images = after([required((highest == 0) | (highest >= levels), message)], images)
    return tf.cast(images * levels // 256, tf.uint8)


def decode_png(file):
    """Bytes of a PNG file → uint8 [H, W, 3]."""
    depth = tf.io.decode_raw(tf.strings.substr(file, 24, 1), tf.uint8)
    message = "image_bytes must hold images of 8 bits per channel"
    file = after([required(depth <= 8, message)], file)
    pixels = tf.io.decode_png(file, channels=4)
    # To files without alpha, TensorFlow gives the highest number of the file's own depth.
    highest = tf.bitwise.left_shift(1, tf.cast(depth, tf.int32)) - 1
    opaque = tf.cast(pixels[..., 3], tf.int32) >= highest
    message = "image_bytes must hold images without transparent pixels"
    return after([required(opaque, message)], pixels[..., :3])


def decode_jpeg(file):
    """Bytes of a JPEG file → uint8 [H, W, 3], with the discrete cosine transform of PIL."""
    colours = tf.image.extract_jpeg_shape(file)[2]
    file = after(
        [required(colours <= 3, "image_bytes must hold RGB or gray images, not CMYK")], file
    )
    return tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE")


def is_gray(file, png, pixels):
    """Whether an image file has no colours: of palettes what they show counts, else the header."""
    kind = tf.io.decode_raw(tf.strings.substr(file, 25, 1), tf.uint8)[0]
    shows_gray = tf.reduce_all(pixels == pixels[..., :1])
    of_png = (kind == _PNG_GRAY) | (kind == _PNG_GRAY_ALPHA) | (kind == _PNG_PALETTE) & shows_gray
    return tf.cond(png, lambda: of_png, lambda: tf.image.extract_jpeg_shape(file)[2] == 1)


def luma(images):
    """Gray of int32 [..., 3] as [..., 1]; see `data.preprocessing.to_gray`."""
    return (tf.reduce_sum(images * LUMA, axis=-1, keepdims=True) + 32768) // 65536


def starts_with(file, start):
    """Whether a string tensor begins with these bytes."""
    return tf.equal(tf.strings.substr(file, 0, len(start)), start)


def png_size(file):
    """(height, width), int32 [2], from the header of a PNG file."""
    width_and_height = tf.strings.substr(file, 16, 8)
    return tf.io.decode_raw(width_and_height, tf.int32, little_endian=False)[::-1]
