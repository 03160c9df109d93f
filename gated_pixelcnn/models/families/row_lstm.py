"""PixelRNN with Row LSTM layers.

Source: "Pixel Recurrent Neural Networks" (van den Oord et al., 2016a), section 3.1 and table 1.
"""

from gated_pixelcnn.layers import RowLSTM
from gated_pixelcnn.models.registry import register
from gated_pixelcnn.models.single_stack import ConvolutionalStack


@register("row_lstm")
class RowLSTMModel(ConvolutionalStack):
    """Row LSTM layers, which see a triangle above every pixel."""

    layer = RowLSTM
    has_whole_rows = True
