"""A plain family as a contributor writes one, outside of the package."""

from toy_layer import ToyLayer

from gated_pixelcnn.models.registry import register
from gated_pixelcnn.models.single_stack import ConvolutionalStack


@register("toy")
class Toy(ConvolutionalStack):
    """One stack of `ToyLayer`."""

    layer = ToyLayer
