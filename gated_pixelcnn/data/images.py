"""What is done to an image before a model sees it: square, gray, levels."""

import numpy as np
import PIL.Image

from gated_pixelcnn.errors import UserError

LUMA = (19595, 38470, 7471)  # of red, green and blue, in 65536ths: ITU-R 601, as in PIL


def to_square(image: np.ndarray, size: int) -> np.ndarray:
    """Cuts the centre square out of an image and averages it down.

    Args:
      image: uint8 [H, W, C].
      size: Side of the result in pixels; 0 leaves the image as it is.

    Returns:
      uint8 [size, size, C]; each pixel is the mean of the area that it covers, rounded.

    Raises:
      UserError: If the image is smaller than that.
    """
    height, width = image.shape[:2]
    if size == 0 or (height, width) == (size, size):
        return image
    if min(height, width) < size:
        raise UserError(
            f"data.image_size={size} is larger than an image of {height}x{width} (height x width)"
        )
    return to_middle(image, size, size)


def to_middle(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cuts the middle of another shape out of an image and averages it down.

    Args:
      image: uint8 [H, W, C], H and W at least `height` and `width`.
      height: Of the result, in pixels.
      width: The same.

    Returns:
      uint8 [height, width, C]; each pixel is the mean of the area that it covers, rounded.
    """
    scale = min(image.shape[0] / height, image.shape[1] / width)
    rows, columns = int(scale * height + 0.5), int(scale * width + 0.5)
    top, left = (image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2
    middle = image[top : top + rows, left : left + columns]
    if middle.shape[:2] == (height, width):
        return middle
    # Colour by colour, as PIL has no mode for every number of colours; in floats, as it would
    # round bytes twice, after the rows and after the columns.
    colours = [
        PIL.Image.fromarray(middle[..., colour].astype(np.float32)).resize(
            (width, height), PIL.Image.Resampling.BOX
        )
        for colour in range(image.shape[-1])
    ]
    mean = np.stack([np.asarray(colour) for colour in colours], axis=-1)
    return np.floor(mean + 0.5).astype(np.uint8)


def to_gray(images: np.ndarray) -> np.ndarray:
    """Returns the luma (ITU-R 601, as in PIL) of uint8 images [..., 3] as [..., 1].

    Images [..., 1] are gray already.

    Raises:
      UserError: If the images have another number of colours.
    """
    if images.shape[-1] == 1:
        return images
    if images.shape[-1] != 3:
        raise UserError(
            f"data.gray=True needs images of 1 or 3 colours, but these have {images.shape[-1]}"
        )
    weighted = (images[..., i].astype(np.uint32) * weight for i, weight in enumerate(LUMA))
    return (sum(weighted, start=np.uint32(32768)) >> 16).astype(np.uint8)[..., None]


def cropped_size(height: int, width: int, config) -> tuple[int, int]:
    """Returns the size of an image without the margins `config.crop`.

    Raises:
      UserError: If nothing would be left.
    """
    top, bottom, left, right = config.margins()
    if top + bottom >= height or left + right >= width:
        raise UserError(
            f"data.crop={config.crop} leaves nothing of an image of {height}x{width} (height x "
            "width)"
        )
    return height - top - bottom, width - left - right


def to_size(image: np.ndarray, config) -> np.ndarray:
    """Brings one image, uint8 [H, W, C], to the configured size: `config.crop`, `image_size`."""
    height, width = cropped_size(*image.shape[:2], config)
    top, _, left, _ = config.margins()
    return to_square(image[top : top + height, left : left + width], config.image_size)


def prepare(image: np.ndarray, config) -> np.ndarray:
    """Brings one image, uint8 [H, W, C], to the configured size and colours."""
    image = to_size(image, config)
    return to_gray(image) if config.gray else image


def prepared_shape(shape, config) -> tuple[int, int, int]:
    """Returns the shape that `prepare` gives to an image of shape (H, W, C).

    H and W may be None, not known: so they stay unless there is an `image_size`.
    """
    height, width, channels = shape
    if config.image_size:
        height = width = config.image_size
    elif None not in (height, width):
        height, width = cropped_size(height, width, config)
    return height, width, 1 if config.gray else channels


def prepare_all(images: np.ndarray, config) -> np.ndarray:
    """The same as `prepare` of each image of [N, H, W, C]; no copy if there is nothing to do."""
    shape = prepared_shape(images.shape[1:], config)
    if shape == images.shape[1:] and not any(config.margins()):
        return images
    prepared = np.empty((len(images), *shape), np.uint8)
    for i, image in enumerate(images):
        prepared[i] = prepare(image, config)
    return prepared


def levels_table(levels: int) -> np.ndarray:
    """Returns uint8 [256]: the level, floor(x * levels / 256), of each byte x."""
    return (np.arange(256) * levels // 256).astype(np.uint8)
