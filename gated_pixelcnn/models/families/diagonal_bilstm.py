"""PixelRNN with Diagonal BiLSTM layers.

Source: "Pixel Recurrent Neural Networks" (van den Oord et al., 2016a), section 3.2 and table 1.
"""

from gated_pixelcnn.layers import DiagonalBiLSTM
from gated_pixelcnn.models.registry import register
from gated_pixelcnn.models.single_stack import SingleStack


@register("diagonal_bilstm")
class DiagonalBiLSTMModel(SingleStack):
    """Diagonal BiLSTM layers: every pixel sees all that come before it."""

    layer = DiagonalBiLSTM

    def __init__(self, image_shape, levels=256, **kwargs):
        """Args: those of `SingleStack`; the layers have none of their own."""
        super().__init__(image_shape, levels, of_layers={}, **kwargs)
