"""PixelRNN with Row LSTM layers.

Source: "Pixel Recurrent Neural Networks" (van den Oord et al., 2016a), section 3.1 and table 1.
"""

import keras

from gated_pixelcnn.layers import RowLSTM
from gated_pixelcnn.models.single_stack import ConvolutionalStack


@keras.saving.register_keras_serializable("gated_pixelcnn")
class RowLSTMModel(ConvolutionalStack):
    """Row LSTM layers, which see a triangle above every pixel."""

    layer = RowLSTM
