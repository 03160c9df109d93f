"""Pictures of what a model sees and of what images cost: receptive fields, bits by pixel."""

import numpy as np
import tensorflow as tf

from gated_pixelcnn import visualization
from gated_pixelcnn.models.autoregressive_model import AutoregressiveModel
from gated_pixelcnn.models.density_model import DensityModel

IMAGES = 16  # of a picture
_HEIGHT = 256  # of a receptive field, about; twice that of an image
_PROJECTIONS = 4  # of a position's parameters, in random directions
_BLIND = (60, 110, 200)  # blue: an earlier pixel that the position does not see
_LATER = (visualization.UNDRAWN,) * 3
_HERE = (40, 180, 90)  # green: the position itself


def receptive_field(model, images, condition=None, position=None):
    """How strongly the distribution of one pixel depends on each pixel, by the Jacobian.

    Args:
      model: an autoregressive model.
      images: integers [N, H, W, C], over which the mean is taken.
      condition: their condition, or None.
      position: (row, column); by default in the middle column, two thirds down, so that earlier
        pixels are at both sides and above.

    Returns:
      The position, and float64 [H, W]: the mean size of the gradient of the position's parameters,
      in random directions, by the colours of each pixel. It is 0 exactly where nothing of a pixel
      is seen: at later pixels, outside of the receptive field and in its blind spot.

    Raises:
      ValueError: no autoregressive model, images that do not fit, or a position outside of them.
    """
    if not isinstance(model, AutoregressiveModel):
        raise ValueError(
            "a receptive field is of one autoregressive network, which this model is not"
        )
    height, width, _ = model.image_shape
    row, column = position or (2 * height // 3, width // 2)
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(f"position must be inside of {height}x{width}, got {(row, column)}.")
    images, condition = model.checked(images, condition)
    condition = model.map_condition(condition)
    random, sizes = np.random.default_rng(0), []
    x = model.network_input(images)
    for _ in range(_PROJECTIONS):
        with tf.GradientTape() as tape:
            tape.watch(x)
            parameters = model.parameter_map(x, condition)[:, row, column]
            direction = tf.constant(random.normal(size=parameters.shape), parameters.dtype)
            total = tf.reduce_sum(parameters * direction)
        gradient = tape.gradient(total, x, unconnected_gradients="zero")
        sizes.append(np.abs(gradient.numpy().astype(np.float64)).sum(axis=-1).mean(axis=0))
    return (row, column), np.mean(sizes, axis=0)


def draw_receptive_field(position, sizes):
    """A receptive field as a picture.

    Args:
      position: (row, column).
      sizes: [H, W], see `receptive_field`.

    Returns:
      uint8 [k·H, k·W, 3]: brighter where the dependence is stronger (four decades); earlier
      pixels that are not seen are blue, later ones gray, the position itself is green.
    """
    height, width = sizes.shape
    here = position[0] * width + position[1]
    order = np.arange(height * width).reshape(height, width)
    decades = np.log10(np.maximum(sizes / max(sizes.max(), 1e-300), 1e-4)) / 4 + 1
    picture = visualization.heat(0.15 + 0.85 * decades)
    picture[(order < here) & (sizes == 0)] = _BLIND
    picture[order > here] = _LATER
    picture[position] = _HERE
    k = max(1, _HEIGHT // height)
    return picture.repeat(k, axis=0).repeat(k, axis=1)


def pixel_bits(model, images, condition=None):
    """Code lengths of the pixels of images given those before them: bits, float64 [N, H, W].

    Of categories, and of images that are neither gray nor of three colours, those of each value,
    where `visualization` shows it: channels, or two maps of codes, stand beside each other.

    Raises:
      ValueError: a model of a lower bound, which has no such lengths, or images that do not fit.
    """
    if not isinstance(model, DensityModel) or model.is_lower_bound:
        raise ValueError("bits of single pixels need a model of exact log-probabilities")
    bits = -np.asarray(model.value_log_prob(images, condition), np.float64) / np.log(2)
    if model.image_spec.is_categorical or bits.shape[-1] not in (1, 3):
        return visualization.side_by_side(bits)[..., 0]
    return bits.sum(axis=-1)


def draw_pixel_bits(images, spec, bits):
    """Images and their bits by pixel, side by side.

    Args:
      images: integers 0…levels−1 [N, H, W, C].
      spec: their `ImageSpec`.
      bits: of `pixel_bits`.

    Returns:
      uint8 picture of pairs, and the bits that are white: 99 % of all pixels have fewer.
    """
    highest = max(float(np.quantile(bits, 0.99)), 1e-6)
    shown = visualization.to_bytes(images, visualization.look(spec))
    if shown.shape[-1] not in (1, 3):
        shown = visualization.side_by_side(shown)
    shown = np.broadcast_to(shown, (*shown.shape[:3], 3))
    pairs = np.stack([shown, visualization.heat(bits / highest)], axis=1)
    pairs = pairs.reshape(-1, *shown.shape[1:])
    columns = 2 * int(np.ceil(np.sqrt(len(images) / 2)))
    k = max(1, _HEIGHT // 2 // shown.shape[1])
    return visualization.grid(pairs, 256, columns, magnify=k), highest
