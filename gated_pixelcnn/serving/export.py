"""Writing versions of a SavedModel, as TensorFlow Serving wants to find them."""

import json
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from gated_pixelcnn import paths
from gated_pixelcnn.data.preprocessing import BYTES
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.density_model import DensityModel, check_density_model
from gated_pixelcnn.paths import PathLike
from gated_pixelcnn.runs import keras_file
from gated_pixelcnn.runs.directory import RunDirectory
from gated_pixelcnn.runs.load import check_trained, load
from gated_pixelcnn.serving import facts, versions
from gated_pixelcnn.serving import warm_up as requests
from gated_pixelcnn.serving.saved_model import SavedModel
from gated_pixelcnn.serving.signatures import Signatures
from gated_pixelcnn.spec import check_integer

MAX_IMAGES = 256
MOST_IMAGES = 100_000  # more would not fit into any machine's memory


def export(
    workdir: PathLike | DensityModel,
    output: PathLike | None = None,
    checkpoint: str = "best",
    max_images: int = MAX_IMAGES,
    warm_up: bool = True,
    prior: PathLike | Sequence[PathLike] = (),
    jit: bool = False,
) -> Path:
    """Exports a model as the next version: that of a run, with its averaged (EMA) weights, or any.

    A version is there completely or not at all: a server that watches the directory never finds a
    half written one.

    Args:
      workdir: The work directory that was given to train, or a `.keras` file; or a density model
        itself, such as one that Keras' fit has trained.
      output: Directory of the versions 1, 2, …; by default, of a work directory, `export` in it.
      checkpoint: "best" or "latest", see `load`.
      max_images: Number of images in one request, at most; a request for more is an error.
      warm_up: Whether warm-up requests are written; a server that batches requests refuses a
        version with those of signatures that cannot be batched.
      prior: See `load`.
      jit: Whether XLA compiles what draws, at the first request of a number of images: faster,
        but not every server can run it (see docs/serving.md).

    Returns:
      Path of the version.

    Raises:
      UserError: the run cannot be loaded, or the directory not be written to.
    """
    if not isinstance(jit, bool):
        raise UserError(f"jit must be True or False, got {jit!r}")
    try:
        max_images = check_integer("max_images", max_images, 1, MOST_IMAGES)
    except ValueError as error:
        raise UserError(error) from None
    model, record, default = _what(workdir, checkpoint, prior)
    check_density_model(model)
    check_trained(model)
    if not (output or default):
        raise UserError("output, the directory of the versions, is missing")
    directory = Path(paths.of_saved_model(output or default))
    try:
        with versions.unfinished(directory) as path:
            write(model, record, path, max_images, warm_up, jit)
            return versions.publish(path, directory)
    except (OSError, tf.errors.OpError) as error:
        raise UserError(
            f"cannot write the SavedModel to {directory} ({_reason(error, directory)})"
        ) from error


def _what(source, checkpoint, prior):
    """An export: a model, its record, and the directory where it goes by default."""
    if isinstance(source, SavedModel):
        raise UserError("this is an exported model already: copy its directory, or export its run")
    if not isinstance(source, keras.Model):
        model = load(source, checkpoint, prior)
        path = Path(paths.local(source))
        if path.is_dir():
            return model, RunDirectory(path).read_config(), path / "export"
        return model, keras_file.record_of(model), None
    if checkpoint != "best" or prior:
        raise UserError("checkpoint and prior are for runs: a model is exported as it is")
    if not source.built:
        raise UserError("this model has no weights yet: train or load it before it is exported")
    return source, keras_file.record_of(source), None


def _reason(error, directory):
    """Why a directory cannot be written to, without the names of TensorFlow's operations."""
    if directory.is_symlink() or directory.exists() and not directory.is_dir():
        return "it is not a directory"
    text = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    return text.split(";")[-1].split(" [Op:")[0].strip()


def write(
    model: DensityModel,
    record: dict,
    path: PathLike,
    max_images: int = MAX_IMAGES,
    warm_up: bool = True,
    jit: bool = False,
) -> None:
    """Writes a SavedModel with its signatures, warm-up requests and facts.

    Args:
      model: A density model.
      record: config.json of its run, as `RunDirectory.read_config` gives it.
      path: The directory to make.
      max_images: See `export`.
      warm_up: See `export`.
      jit: See `export`.
    """
    reading = record["data"].get("values", BYTES), record["config"]["data"]["grayscale"]
    signatures = Signatures(model, max_images, *reading, jit)
    signatures.save(path)
    extra = Path(path) / "assets.extra"  # servers leave it alone, but for the warm-up requests
    extra.mkdir()
    (extra / facts.NAME).write_text(json.dumps(facts.of(model, record, max_images), indent=2))
    if warm_up:
        requests.write(extra / requests.NAME, signatures.signatures, model.image_shape)
