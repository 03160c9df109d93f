"""From a configuration to a model."""

from collections.abc import Sequence

from ml_collections import ConfigDict

from gated_pixelcnn import data
from gated_pixelcnn.errors import UserError, nearest
from gated_pixelcnn.limits import MOST_CHANNELS
from gated_pixelcnn.models.registry import FAMILIES
from gated_pixelcnn.models.trainable import Trainable
from gated_pixelcnn.spec import CATEGORICAL, stands_beside


def data_config(config: ConfigDict) -> data.DataConfig:
    """The configuration of the images: those of a model of categories are codes.

    Raises:
      UserError: a value out of its range, or one that makes no sense for codes.
    """
    found = data.DataConfig(**config.data)
    is_categorical = config.model.get("values") == CATEGORICAL
    return found.of_codes() if is_categorical else found


def build_model(
    config: ConfigDict,
    image_shape: tuple[int, int, int] | None = None,
    levels: int | None = None,
    condition_size: int | None = None,
    dtype: str = "float32",
    condition_names: Sequence[str] = (),
) -> Trainable:
    """Builds the model of a configuration, freshly initialised.

    What is not given is looked up in the data set of the configuration.

    Args:
      config: ConfigDict of get_config.
      image_shape: (H, W, C) of the images.
      levels: Number of values of a colour.
      condition_size: Number of classes, length of the vector or number of maps, for a model with
        a condition.
      dtype: Keras' dtype policy: float32, mixed_bfloat16 or mixed_float16.
      condition_names: Names of the classes, for a model with labels, or of the entries of a vector
        or maps.

    Returns:
      The model, built.

    Raises:
      UserError: a value of `config.model` is out of its range, or the data have no labels for a
        model that is conditioned on the label.
    """
    arguments = config.model.to_dict()
    family = arguments.pop("family", None)
    if family not in FAMILIES:
        raise UserError(f"model.family is {family!r}{nearest(str(family), FAMILIES)}")
    family = FAMILIES[family]
    kind = arguments.get("condition")
    needs_size = stands_beside(kind) and condition_size is None
    if image_shape is None or levels is None or needs_size:
        info = data.describe(data_config(config), kind if needs_size else None)
        image_shape = info.image_shape if image_shape is None else image_shape
        levels = info.levels if levels is None else levels
        if needs_size:
            condition_size, condition_names = info.condition(kind)
    if kind == "label" and not condition_size:
        raise UserError(
            f"model.condition=label needs labels, but {config.data.source} has none (or "
            "data.labels is off); set model.condition=none"
        )
    try:
        model = family(
            image_shape=tuple(image_shape),
            levels=levels,
            condition_size=(condition_size or 0) if kind not in (None, "image") else 0,
            dtype=dtype,
            **({"condition_names": condition_names} if stands_beside(kind) else {}),
            **arguments,
        )
        model.build()
    except (ValueError, TypeError) as error:
        two = " (two maps of codes are for model.family=code_hierarchy)"
        maps = image_shape[-1] > MOST_CHANNELS and family is not FAMILIES["code_hierarchy"]
        raise UserError(f"config.model: {error}{two if maps else ''}") from error
    return model
