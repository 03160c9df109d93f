"""Preparation of images for a model: margins, size, gray, levels.

Whether the values of images are levels already or bytes is decided once for a data set: by
`data.values`, or by `decide_values`. The decision is kept in the run's record, and all who read
images for the run go by it.
"""

from collections.abc import Iterable

import numpy as np
import PIL.Image

from gated_pixelcnn.errors import UserError

LUMA = (19595, 38470, 7471)  # of red, green and blue, in 65536ths: ITU-R 601, as in PIL
LEVELS, BYTES = "levels", "bytes"


def to_size(image: np.ndarray, size: tuple[int, int] | None, resize: str = "crop") -> np.ndarray:
    """Brings an image to another size; none is enlarged.

    Args:
      image: uint8 [H, W, C].
      size: (height, width) of the result; None leaves the image as it is.
      resize: What is done about another shape, see `DataConfig.resize`.

    Returns:
      uint8 [height, width, C]; each pixel is the mean of the area that it covers, rounded.

    Raises:
      UserError: If the image is smaller than that, unless it is padded.
    """
    if size is None or image.shape[:2] == size:
        return image
    check_size(image.shape[:2], size, resize)
    height, width = size
    if resize == "stretch":
        return _averaged(image, height, width)
    if resize == "crop":
        scale = min(image.shape[0] / height, image.shape[1] / width)
        middle = middle_patch(image, int(scale * height + 0.5), int(scale * width + 0.5))
        return _averaged(middle, height, width)
    scale = max(image.shape[0] / height, image.shape[1] / width, 1)
    rows, columns = (max(1, int(side / scale + 0.5)) for side in image.shape[:2])
    padded = np.zeros((height, width, image.shape[-1]), np.uint8)
    middle_patch(padded, rows, columns)[...] = _averaged(image, rows, columns)
    return padded


def check_size(found: tuple[int, int], size: tuple[int, int] | None, resize: str):
    """Raises a UserError for an image that is smaller than `data.image_size`."""
    if size and resize != "pad" and (found[0] < size[0] or found[1] < size[1]):
        wanted = size[0] if size[0] == size[1] else f"{size[0]}x{size[1]}"
        raise UserError(
            f"data.image_size={wanted} is larger than an image of {found[0]}x{found[1]} (height x "
            "width)"
        )


def _averaged(image, height, width):
    """An image averaged down to this size."""
    if image.shape[:2] == (height, width):
        return image
    # Colour by colour, as PIL has no mode for every number of colours; in floats, as it would
    # round bytes twice, after the rows and after the columns.
    colours = [
        PIL.Image.fromarray(image[..., colour].astype(np.float32)).resize(
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
            f"data.grayscale=True needs images of 1 or 3 colours, but these have {images.shape[-1]}"
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


def cropped(image: np.ndarray, config) -> np.ndarray:
    """Returns an image [H, W, C] without the margins `config.crop`; raises as `cropped_size`."""
    height, width = cropped_size(*image.shape[:2], config)
    top, _, left, _ = config.margins()
    return image[top : top + height, left : left + width]


def middle_patch(images, height: int, width: int):
    """Cuts the middle of images [..., H, W, C], arrays or tensors, that are at least as large."""
    top, left = (images.shape[-3] - height) // 2, (images.shape[-2] - width) // 2
    return images[..., top : top + height, left : left + width, :]


def prepare(image: np.ndarray, config) -> np.ndarray:
    """Brings one image, uint8 [H, W, C], to the configured size and colours."""
    image = to_size(cropped(image, config), config.size, config.resize)
    return to_gray(image) if config.grayscale else image


def prepared_shape(shape, config) -> tuple[int, int, int]:
    """Returns the shape that `prepare` gives to an image of shape (H, W, C).

    H and W may be None, not known: so they stay unless there is an `image_size`.
    """
    height, width, channels = shape
    if config.size:
        height, width = config.size
    elif None not in (height, width):
        height, width = cropped_size(height, width, config)
    return height, width, 1 if config.grayscale else channels


def prepare_all(images: np.ndarray, config) -> np.ndarray:
    """Prepares each image of [N, H, W, C] as `prepare`; no copy if there is nothing to do."""
    shape = prepared_shape(images.shape[1:], config)
    if shape == images.shape[1:] and not any(config.margins()):
        return images
    prepared = np.empty((len(images), *shape), images.dtype)
    for i, image in enumerate(images):
        prepared[i] = prepare(image, config)
    return prepared


def levels_table(levels: int) -> np.ndarray:
    """Returns uint8 [256]: the level, floor(x * levels / 256), of each byte x."""
    return (np.arange(256) * levels // 256).astype(np.uint8)


def decide_values(config, parts: dict[str, Iterable[np.ndarray]]) -> str:
    """Decides for a data set, or checks the decision that was made by hand.

    Args:
      config: The DataConfig.
      parts: The images of each split, uint8, in pieces, those of "train" first. No more of them
        are looked at than the answer needs: mostly the first.

    Returns:
      LEVELS or BYTES.

    Raises:
      UserError: The images are binarized but `levels` is not 2, or those of "train" are blank.
    """
    levels, source, values = config.levels, config.source, config.values
    highest = -1
    darkest, brightest = levels + 255, 0  # of the training images
    for split, pieces in parts.items():
        for piece in pieces:
            highest = max(highest, int(piece.max()))
            if split == "train":
                darkest = min(darkest, int(piece.min()))
                brightest = max(brightest, int(piece.max()))
            found = _decided(values, highest, levels)
            if found and highest > 1 and not _are_one(darkest, brightest, levels, found):
                return found
    found = _decided(values, highest, levels) or LEVELS
    if highest == 1 and levels != 2 and values == "auto":
        raise UserError(
            f"the images of {source} have no value above 1: they are binarized; set data.levels=2 "
            f"(it is {levels})"
        )
    if _are_one(darkest, brightest, levels, found):
        raise UserError(
            f"all training images of {source} are blank at data.levels={levels}, their values "
            f"taken for {found} (the highest is {highest})"
        )
    return found


def _decided(values, highest, levels):
    """The decision as far as it can be made by the highest value of some of the images."""
    if values != "auto":
        return values
    if levels > 256:
        return LEVELS
    # Of 256 levels, bytes are levels.
    return BYTES if highest >= levels or levels == 256 else None


def _are_one(darkest, brightest, levels, values):
    """Returns whether values from the one to the other are all of one level."""
    if values == LEVELS:
        return darkest >= brightest
    return darkest >= brightest or darkest * levels // 256 == brightest * levels // 256


def to_levels(images: np.ndarray, levels: int, values: str, source: str, in_place: bool = False):
    """Quantises bytes to levels, floor(x * levels / 256); levels stay as they are.

    Args:
      images: uint8, of one axis or more.
      levels: 2..256.
      values: LEVELS or BYTES.
      source: Their name, for the error.
      in_place: Whether the images are overwritten.

    Returns:
      uint8 of the same shape, values 0..levels-1.

    Raises:
      UserError: If values that are levels are not below `levels`.
    """
    if values == LEVELS:
        highest = int(images.max(initial=0))
        if highest >= levels:
            raise UserError(too_high(source, highest, levels))
        return images
    if levels == 256:
        return images
    table = levels_table(levels)
    quantized = images if in_place else np.empty_like(images)
    for start in range(0, len(images), 256):  # parts that fit into a cache
        part = slice(start, start + 256)
        quantized[part] = table[images[part]]
    return quantized


def too_high(source, highest, levels) -> str:
    """Returns the sentence for values that cannot be levels."""
    return (
        f"{source} has values up to {highest}, but they are taken for levels 0..{levels - 1}, as "
        "data.values or the run says: raise data.levels if they are levels, or set "
        "data.values=bytes if they are bytes"
    )
