"""PixelCNN: one stack of masked convolutions, blind spot and all.

Source: "Pixel Recurrent Neural Networks" (van den Oord et al., 2016a), section 3.4, Figure 5 and
table 1.
"""

from gated_pixelcnn.layers import MaskedBlock
from gated_pixelcnn.models.registry import register
from gated_pixelcnn.models.single_stack import ConvolutionalStack


@register("pixelcnn")
class PixelCNN(ConvolutionalStack):
    """Residual blocks of masked convolutions, see `MaskedBlock`."""

    layer = MaskedBlock
    has_whole_rows = True
