"""From a configuration, or from what was saved, to a model."""

from pathlib import Path

from gated_pixelcnn import data, keras_file, limits, paths
from gated_pixelcnn.errors import UserError, nearest
from gated_pixelcnn.models.registry import FAMILIES
from gated_pixelcnn.training.checkpoints import Checkpoints, assign, named
from gated_pixelcnn.training.run_directory import RunDirectory


def build_model(
    config, image_shape=None, levels=None, condition_size=None, dtype="float32", class_names=()
):
    """Builds the model of a configuration, freshly initialised.

    What is not given is looked up in the data set of the configuration.

    Args:
      config: ConfigDict of get_config.
      image_shape: (H, W, C) of the images.
      levels: Number of values of a colour.
      condition_size: Number of classes, length of the vector or number of maps, for a model with
        a condition.
      dtype: Keras' dtype policy: float32, mixed_bfloat16 or mixed_float16.
      class_names: Names of the classes, for a model with labels.

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
    needs_classes = kind == "label" and condition_size is None
    if image_shape is None or levels is None or needs_classes:
        info = data.describe(data.DataConfig(**config.data))
        image_shape = info.image_shape if image_shape is None else image_shape
        levels = info.levels if levels is None else levels
        if needs_classes:
            condition_size, class_names = info.num_classes, info.class_names
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
            **({"class_names": class_names} if kind == "label" else {}),
            **arguments,
        )
        model.build()
    except (ValueError, TypeError) as error:
        raise UserError(f"config.model: {error}") from error
    return model


def load(path, checkpoint="best", prior=()):
    """Loads a model: that of a run, or one that was saved by `model.save("model.keras")`.

    Nothing that is in the files is run, so they may come from anyone, see docs/security.md.

    Args:
      path: The work directory that was given to train, or a `.keras` file.
      checkpoint: Of a run, "best" (by the validation bits/dim; the latest one if there was no
        validation) or "latest".
      prior: Of an auxiliary model whose parts were trained apart (model.train_only): the path of
        the model with its prior. Several, for a prior whose own parts were trained apart: next that
        with the prior's prior, and so on.

    Returns:
      The model; that of a run with its averaged (EMA) weights.

    Raises:
      UserError: the directory holds no run, no checkpoint, or none that is whole; the file is
        missing, damaged, or not one of our models; the prior does not fit.
    """
    if checkpoint not in ("best", "latest"):
        raise UserError(f"checkpoint must be 'best' or 'latest', but is {checkpoint!r}")
    model = _load(path, checkpoint)
    for depth, other in enumerate([prior] if isinstance(prior, str | Path) else prior):
        whole, source = model, _load(other, checkpoint)
        for _ in range(depth):
            whole, source = (getattr(part, "prior", part) for part in (whole, source))
        for name, part in ((path, whole), (other, source)):
            if not hasattr(part, "take_prior"):
                raise UserError(f"{name} has no prior{' of a prior' * depth}")
        try:
            whole.take_prior(source)
        except ValueError as error:
            raise UserError(f"the prior of {other} cannot be that of {path}: {error}") from error
    return model


def check_trained(model):
    """Raises a UserError for a model of which a part was never trained."""
    part = getattr(model, "untrained", "")
    if not part:
        return
    raise UserError(f"the {part} of this model was not trained (model.train_only): {model.remedy}")


def _load(path, checkpoint):
    path = paths.local(path)
    if Path(path).suffix == ".keras" and not Path(path).is_dir():
        return _load_keras_file(path)
    return _load_run(path, checkpoint)


def _load_keras_file(path):
    with keras_file.opened(path) as stored:
        with limits.within(path, stored.array_sizes, stored.arguments["config"]):
            model = build_model(**stored.arguments)
        keras_file.load_weights(model, stored.weights, path)
    return model


def _load_run(workdir, checkpoint):
    run = RunDirectory(workdir)
    record = run.read_config()
    checkpoints = Checkpoints(run.checkpoints)
    found = (checkpoints.best() if checkpoint == "best" else None) or checkpoints.latest()
    if found is None:
        raise UserError(
            f"{run.path} has no checkpoint yet; wait for the first one, or train longer"
        )
    arrays, _, path = found
    with limits.within(path, [array.size for array in arrays.values()], record["config"]):
        model = build_model(
            record["config"],
            record["image_shape"],
            record["levels"],
            record["condition_size"],
            class_names=record["class_names"],
        )
    assign(named("weights", model.weights), arrays, path)
    if any(name.startswith("average/") for name in arrays):
        assign(named("average", model.trainable_weights), arrays, path)
    return model
