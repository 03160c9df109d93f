"""From what was saved, a run or a `.keras` file, to a model."""

from collections.abc import Sequence
from pathlib import Path

from gated_pixelcnn import paths
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.capabilities import HasPrior
from gated_pixelcnn.models.trainable import Trainable
from gated_pixelcnn.paths import PathLike
from gated_pixelcnn.runs import keras_file, memory_guard
from gated_pixelcnn.runs.build import build_model
from gated_pixelcnn.runs.checkpoints import Checkpoints, assign, named
from gated_pixelcnn.runs.directory import RunDirectory, names_of_condition


def load(
    path: PathLike, checkpoint: str = "best", prior: PathLike | Sequence[PathLike] = ()
) -> Trainable:
    """Loads a model: that of a run, or one that was saved by `model.save("model.keras")`.

    Nothing that is in the files is run, so they may come from anyone, see docs/security.md.

    Args:
      path: The work directory that was given to train, or a `.keras` file.
      checkpoint: Of a run, "best" (by the validation bits/dim; the latest one if there was no
        validation) or "latest".
      prior: Of an auxiliary model whose submodels were trained apart (model.train_only): the path
        of the model with its prior. Several, for a prior whose own submodels were trained apart:
        next that with the prior's prior, and so on.

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
            if not isinstance(part, HasPrior):
                raise UserError(f"{name} has no prior{' of a prior' * depth}")
        try:
            whole.take_prior(source)
        except ValueError as error:
            raise UserError(f"the prior of {other} cannot be that of {path}: {error}") from error
    return model


def check_trained(model):
    """Raises a UserError for a model of which a submodel was never trained."""
    if not model.untrained:
        return
    raise UserError(
        f"the {model.untrained} of this model was not trained (model.train_only): {model.remedy}"
    )


def _load(path, checkpoint):
    path = paths.local(path)
    if Path(path).suffix == ".keras" and not Path(path).is_dir():
        return _load_keras_file(path)
    return _load_run(path, checkpoint)


def _load_keras_file(path):
    with keras_file.opened(path) as stored:
        with memory_guard.within(path, stored.array_sizes, stored.arguments["config"]):
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
    with memory_guard.within(path, [array.size for array in arrays.values()], record["config"]):
        model = build_model(
            record["config"],
            record["image_shape"],
            record["levels"],
            record["condition_size"],
            condition_names=names_of_condition(record),
        )
    assign(named("weights", model.weights), arrays, path)
    if any(name.startswith("average/") for name in arrays):
        assign(named("average", model.trainable_weights), arrays, path)
    return model
