"""A family in tests: its sizes, and the images and conditions that it is tested with."""

import dataclasses
import math

from gated_pixelcnn.models.autoregressive_model import AutoregressiveModel
from gated_pixelcnn.models.density_model import DensityModel

STACK = {"features": 4, "layers": 2, "first_kernel_size": 3}

# What the values are: (image shape, levels, likelihood).
VALUES = {
    "bernoulli": ((3, 4, 1), 2, "bernoulli"),
    "gray": ((4, 3, 1), 5, "categorical"),
    "wide": ((8, 8, 1), 4, "categorical"),
    "colour": ((3, 4, 3), 4, "categorical"),
    "logistic": ((4, 3, 3), 6, "logistic"),
    "mixture": ((3, 4, 3), 6, "mixture"),
    "independent": ((3, 4, 3), 4, "independent"),
    "two maps": ((2, 2, 5), 5, "categorical"),
    "300 codes": ((4, 3, 1), 300, "categorical"),
    "5000 codes": ((4, 3, 1), 5000, "categorical"),
}

CONDITIONS = {
    "none": {},
    "label": {"condition": "label", "condition_size": 3},
    "vector": {"condition": "vector", "condition_size": 2},
    "spatial": {"condition": "spatial", "condition_size": 2},
    "label-map": {"condition": "label", "condition_size": 3, "spatial_features": 4},
    "vector-map": {"condition": "vector", "condition_size": 2, "spatial_features": 4},
    "image": {"condition": "image", "code_size": 2, "encoder_features": 4},
}


@dataclasses.dataclass(frozen=True)
class Family:
    """A family, at a size at which every output can reach every earlier value of a 4×3 image.

    Attributes:
      model: its class.
      arguments: those of that size.
      small: those of its smallest useful size, for what does not depend on it.
      has_blind_spot: then a test of its own compares it with theory, pixel by pixel.
      weights: their size: smaller where nothing saturates.
      values: kinds of VALUES that it is tested with.
      even: how often height and width must be even, one after the other.
      conditions: those of its cases in turn; if empty, all.
      shape: of images of its smallest useful size.
    """

    model: type
    arguments: dict
    small: dict = dataclasses.field(default_factory=lambda: STACK)
    has_blind_spot: bool = False
    weights: float = 1.5
    values: tuple = ("gray", "colour", "bernoulli", "logistic", "mixture")
    even: int = 0
    conditions: tuple = ()
    shape: tuple = (4, 4, 1)

    def fit(self, shape):
        """A shape of about this size that the family takes: an odd side is doubled."""
        height, width, channels = shape
        return math.lcm(height, 2**self.even), math.lcm(width, 2**self.even), channels

    def takes(self, shape, likelihood):
        """Whether the family has a model of these images, and is tested with such values."""
        categorical = "gray" if shape[-1] == 1 else "colour"
        values = categorical if likelihood == "categorical" else likelihood
        return self.fit(shape) == shape and values in self.values

    def depends_on(self, condition):
        """Whether it can have this condition: no image is one of a model of codes."""
        return condition != "none" and not (condition == "image" and "values" in self.arguments)

    @property
    def is_exact(self):
        """Whether it has one autoregressive network, and exact log-probabilities of all values."""
        return issubclass(self.model, AutoregressiveModel)

    @property
    def is_density(self):
        """Whether it has log-probabilities and samples."""
        return issubclass(self.model, DensityModel)

    @property
    def colour(self):
        """Its kind of values of three colours; the first kind if it has none."""
        of_colours = (values for values in self.values if VALUES[values][0][-1] == 3)
        return next(of_colours, self.values[0])

    @property
    def shallow(self):
        """Arguments of the least depth, for images of a few pixels."""
        return {"layers": 2} if "layers" in self.arguments else {}
