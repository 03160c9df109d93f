"""Images and conditions that a model takes: the one place that knows their shapes and checks them.

Every ValueError says what was wanted and what was found. In a graph values are not known when it is
traced: there it is an InvalidArgumentError of the run that says so. A graph that XLA compiles has
no assertions: its nats are NaN.
"""

from gated_pixelcnn.spec.arguments import Array, Shape, as_array, check_integer
from gated_pixelcnn.spec.conditions import (
    ConditionSpec,
    Image,
    Label,
    Spatial,
    Vector,
    condition_spec,
    stands_beside,
)
from gated_pixelcnn.spec.images import (
    CATEGORICAL,
    MOST_LEVELS,
    ORDERED,
    ImageSpec,
    bits_per_dim,
    integer_type,
    kind_of_images,
)
from gated_pixelcnn.spec.inputs import Inputs

__all__ = [
    "CATEGORICAL",
    "MOST_LEVELS",
    "ORDERED",
    "Array",
    "ConditionSpec",
    "Image",
    "ImageSpec",
    "Inputs",
    "Label",
    "Shape",
    "Spatial",
    "Vector",
    "as_array",
    "bits_per_dim",
    "check_integer",
    "condition_spec",
    "integer_type",
    "kind_of_images",
    "stands_beside",
]
