"""PixelRNN with Diagonal BiLSTM layers.

Source: "Pixel Recurrent Neural Networks" (van den Oord et al., 2016a), section 3.2 and table 1.
"""

from typing import Any

from gated_pixelcnn.layers import DiagonalBiLSTM
from gated_pixelcnn.models.registry import register
from gated_pixelcnn.models.single_stack import SingleStack


@register("diagonal_bilstm")
class DiagonalBiLSTMModel(SingleStack):
    """Diagonal BiLSTM layers: every pixel sees all that come before it."""

    layer = DiagonalBiLSTM

    def __init__(self, image_shape: tuple[int, int, int], levels: int = 256, **kwargs: Any) -> None:
        """Args: those of `SingleStack`; the layers have none of their own."""
        super().__init__(image_shape, levels, of_layers={}, **kwargs)
