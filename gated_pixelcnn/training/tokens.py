"""A prior of codes is trained on the codes of images, which a tokenizer computes once."""

from pathlib import Path

import numpy as np

from gated_pixelcnn import configs, paths
from gated_pixelcnn.data.batches import ArraySplit
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation.images import filled_up, split_batches
from gated_pixelcnn.files import DAMAGED, atomic_write
from gated_pixelcnn.models.capabilities import HasCodes
from gated_pixelcnn.runs.checkpoints import Checkpoints
from gated_pixelcnn.runs.directory import RunDirectory
from gated_pixelcnn.runs.load import load
from gated_pixelcnn.spec import integer_type

_FILE = "codes.npz"
_BATCH = 256


class Tokenizer:
    """The tokenizer of a run: that of another run, or the one that the run has had from its start.

    Attributes:
      model: the `VQVAE` to take the weights of; None where the run has them.
      fingerprint: of the tokenizer, see `VQVAE.fingerprint`.
    """

    def __init__(self, config, workdir, given, workers):
        """Reads it: the chief, which tells the other workers.

        Args:
          config: of the run.
          workdir: of the run.
          given: train.tokenizer.
          workers: `Workers`.

        Raises:
          UserError: there is none, it is none, it changed, or the configuration varies images.
        """
        for name in ("flips", "patch"):
            if config.data[name]:
                raise UserError(
                    f"data.{name} varies the images in every epoch, but their codes are computed "
                    "once: train the tokenizer with it, not the prior"
                )
        self.model = None
        told = self._read(RunDirectory(workdir), given) if workers.is_chief else None
        self._section, self.fingerprint = workers.told(told)

    def _read(self, run, given):
        """Sets the model; returns the architecture, {argument: value}, and the fingerprint."""
        started = run.config.exists() and bool(Checkpoints(run.checkpoints).steps())
        record = run.read_config() if started else None
        there = bool(given) and Path(paths.local(given)).exists()
        if not started and not given:
            raise UserError(
                "a prior of codes needs the tokenizer that makes them: give the run of a VQ-VAE by "
                "train.tokenizer"
            )
        if there or not started:
            model, section = _loaded(given)
            fingerprint = model.fingerprint()
        if not started:
            self.model = model
            return section.to_dict(), fingerprint
        kept = record["data"].get("tokenizer")
        if there and fingerprint != kept:
            raise UserError(
                f"the tokenizer {given} changed since the codes of this run were made: train "
                "the prior anew in another --workdir"
            )
        return record["config"].model.tokenizer.to_dict(), kept

    def put_into(self, config):
        """The configuration with the architecture of the tokenizer."""
        changed = config.copy_and_resolve_references()
        with changed.unlocked():
            changed.model.tokenizer = self._section
        return configs.complete(changed)


def _loaded(workdir):
    model = load(workdir)
    section = RunDirectory(workdir).read_config()["config"].model
    if not isinstance(model, HasCodes) or model.trains_on_codes:
        raise UserError(f"the run {workdir} (train.tokenizer) is of no tokenizer: train a VQ-VAE")
    return model, section


def code_split(model, split, fingerprint, directory=None, say=print):
    """The codes of the images of a split, with their labels or conditions.

    They are computed once and kept.

    Args:
      model: a model that trains on codes.
      split: of images.
      fingerprint: text that tells the tokenizer, and the images and what is beside them.
      directory: of the run, where the codes are kept; None to keep none.
      say: function that is told what is done.

    Returns:
      The split of the codes as images of the prior.
    """
    path = None if directory is None else Path(directory) / _FILE
    if path is not None and path.exists():
        try:
            with np.load(path) as kept:
                if str(kept["fingerprint"]) == fingerprint:
                    return ArraySplit(kept["codes"], kept["beside"] if "beside" in kept else None)
        except DAMAGED:
            pass  # they are computed again
    say(f"codes of {split.num_images} images")
    dtype = integer_type(model.codes).as_numpy_dtype
    codes = np.empty((split.num_images, *model.prior.image_shape), dtype)
    beside, first = [], 0
    size = min(_BATCH, split.num_images)
    for images, of_batch in split_batches(split, size):
        found = np.asarray(model.as_images(model.encode(filled_up(images, size))))
        codes[first : first + len(images)] = found[: len(images)]
        beside.append(of_batch)
        first += len(images)
    beside = None if beside[0] is None else np.concatenate(beside)
    if path is not None:
        arrays = {"codes": codes, "fingerprint": np.array(fingerprint)}
        arrays |= {} if beside is None else {"beside": beside}
        with atomic_write(path) as file:
            np.savez_compressed(file, **arrays)
    return ArraySplit(codes, beside)
