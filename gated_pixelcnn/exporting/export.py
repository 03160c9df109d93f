"""Writing versions of a SavedModel, as TensorFlow Serving wants to find them."""

import json
import os
import shutil
from pathlib import Path

import tensorflow as tf

from gated_pixelcnn import building
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.exporting import facts
from gated_pixelcnn.exporting import warm_up as requests
from gated_pixelcnn.exporting.signatures import Signatures
from gated_pixelcnn.models.contract import check_density_model
from gated_pixelcnn.training.run_directory import RunDirectory

MAX_IMAGES = 256


def export(workdir, output=None, checkpoint="best", max_images=MAX_IMAGES, warm_up=True):
    """Exports the model of a run, with its averaged (EMA) weights, as the next version.

    A version is there completely or not at all: a server that watches the directory never finds a
    half written one.

    Args:
      workdir: The work directory that was given to train.
      output: Directory of the versions 1, 2, …; `export` in the work directory by default.
      checkpoint: "best" or "latest", see `load`.
      max_images: Number of images in one request, at most; a request for more is an error.
      warm_up: Whether warm-up requests are written; a server that batches requests refuses a
        version with those of signatures that cannot be batched.

    Returns:
      Path of the version.

    Raises:
      UserError: the run cannot be loaded, or the directory not be written to.
    """
    if max_images < 1:
        raise UserError(f"max_images must be at least 1, got {max_images}")
    model = building.load(workdir, checkpoint)
    check_density_model(model)
    record = RunDirectory(workdir).read_config()
    versions = Path(output) if output else Path(workdir) / "export"
    temporary = versions / f".unfinished-{os.getpid()}"
    try:
        versions.mkdir(parents=True, exist_ok=True)
        write(model, record, temporary, max_images, warm_up)
        return _next_version(temporary, versions)
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "message", None) or error
        raise UserError(f"cannot write the SavedModel to {versions} ({reason})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write(model, record, path, max_images=MAX_IMAGES, warm_up=True):
    """Writes a SavedModel with its signatures, warm-up requests and facts.

    Args:
      model: A density model.
      record: config.json of its run, as `RunDirectory.read_config` gives it.
      path: The directory to make.
      max_images: See `export`.
      warm_up: See `export`.
    """
    signatures = Signatures(model, max_images)
    signatures.save(path)
    extra = Path(path) / "assets.extra"  # servers leave it alone, but for the warm-up requests
    extra.mkdir()
    (extra / facts.NAME).write_text(json.dumps(facts.of(model, record, max_images), indent=2))
    if warm_up:
        requests.write(extra / requests.NAME, signatures.signatures, model.image_shape)


def _next_version(finished, versions):
    """Renames a finished export to the first free number after those that are there."""
    while True:
        numbers = [int(path.name) for path in versions.iterdir() if path.name.isdecimal()]
        version = versions / str(max(numbers, default=0) + 1)
        try:
            finished.rename(version)
        except OSError:
            if version.exists():  # another export was faster
                continue
            raise
        return version
