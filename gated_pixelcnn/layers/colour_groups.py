"""Which features may see which colours of a pixel: the one place for masks and colour order.

Inside a pixel p(x) factorises as R, then G given R, then B given R and G (van den Oord et al.,
"Pixel Recurrent Neural Networks", 2016, section 3.4). Every feature map of a network belongs to
one colour; a feature of colour g may depend, at its own pixel, on the values of colours before g.

Features are laid out in contiguous groups: of F features and three colours, the first third is R.
The 2p maps of a gated unit are two parts (tanh, sigmoid), the 4h of an LSTM four, which carry the
SAME group assignment, so that all parts of a feature share its colour; contiguous thirds over the
whole 2p would let R see G.
"""

import numpy as np


def check_divisible(name: str, value: int, colours: int) -> None:
    """Raises ValueError where `value` features cannot be shared equally among `colours` groups."""
    if value < 1 or value % colours:
        nearest = max(colours, round(value / colours) * colours)
        raise ValueError(
            f"{name} must be a positive multiple of the {colours} colour groups, so that every "
            f"colour gets equally many; got {value} (nearest valid: {nearest})."
        )


def columns(width: int, colours: int, colour: int, parts: int = 1) -> np.ndarray:
    """Indices of the output features that belong to one colour.

    Args:
      width: number of output features over all parts and colours.
      colours: number of colour groups.
      colour: the colour, 0…colours−1.
      parts: how many equal parts have the same groups: 2 for the pre-activations of a gated unit,
        4 for those of an LSTM, otherwise 1.

    Returns:
      Integer array of `width // colours` feature indices, part by part.
    """
    part, group = width // parts, width // parts // colours
    one = np.arange(colour * group, (colour + 1) * group)
    return np.concatenate([one + i * part for i in range(parts)])


def visible(width: int, colours: int, colour: int, mask_type: str) -> int:
    """Number of leading features of the current pixel that a feature of `colour` may see.

    Mask type A (first layer) hides the own colour, type B (later layers) shows it, for what a later
    layer holds of the own colour depends on earlier colours only. Groups are contiguous, so what is
    visible is always a prefix.
    """
    return width // colours * (colour if mask_type == "A" else colour + 1)


def mask(inputs: int, outputs: int, colours: int, mask_type: str, parts: int = 1) -> np.ndarray:
    """Connections allowed inside a pixel.

    Args:
      inputs: number of input features (a multiple of `colours`).
      outputs: number of output features, over all parts.
      colours: number of colour groups.
      mask_type: "A" or "B", see `visible`.
      parts: see `columns`.

    Returns:
      Array [inputs, outputs] of 0 and 1.
    """
    allowed = np.zeros((inputs, outputs), np.float32)
    for colour in range(colours):
        rows = visible(inputs, colours, colour, mask_type)
        allowed[:rows, columns(outputs, colours, colour, parts)] = 1
    return allowed
