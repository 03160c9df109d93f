"""Checkpoints: complete or absent, verified on load.

A checkpoint is one npz file of named arrays (an uncompressed zip archive: a CRC-32 of every array
is in it and is checked when it is read; the directory is at its end, so a truncated file is
noticed) with one more entry, `meta`, of JSON. It is written under another name, flushed to the
disk and renamed, so whatever happens while it is written leaves the one before as it was.
"""

import json
import re
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gated_pixelcnn.errors import UserError
from gated_pixelcnn.files import DAMAGED, atomic_write

BEST = "best.npz"
_META = "meta"
_STEP_FILE = re.compile(r"step-(\d+)\.npz")
_TEMPORARY = ".tmp"


class DamagedCheckpoint(ValueError):
    """A file that is not a whole checkpoint."""


class Found(NamedTuple):
    """A checkpoint that was read: its arrays, what was written beside them, and its path."""

    arrays: dict
    meta: dict
    path: Path


def advice(directory):
    """Returns the end of a message about a disk that is full: what is left, and what to do."""
    left = "there is no checkpoint before it"
    if any(Path(directory).glob("*.npz")):
        left = "the checkpoints before it are still there"
    return f"; {left}: make room and start the same command again"


def write(path, arrays, meta):
    """Writes a checkpoint; `path` then holds it whole, or is as it was before.

    Args:
      path: Path of the file.
      arrays: Dict of names and arrays.
      meta: Anything that JSON can hold.

    Raises:
      UserError: the file cannot be written; the message says why.
    """
    path = Path(path)
    # The names, too: no checksum covers the directory of the archive.
    encoded = np.frombuffer(json.dumps([sorted(arrays), meta]).encode(), np.uint8)
    with atomic_write(
        path, path.with_name(path.name + _TEMPORARY), lambda: advice(path.parent)
    ) as file:
        np.savez(file, **{_META: encoded}, **arrays)


def read(path):
    """Reads a checkpoint.

    Returns:
      (arrays, meta): a dict of names and arrays, and what was given to `write`.

    Raises:
      DamagedCheckpoint: the file is missing, truncated or damaged.
    """
    try:
        # First the checksums: what follows may then trust the headers.
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
        if damaged is not None:
            raise ValueError(f"wrong checksum of {damaged}")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        names, meta = json.loads(arrays.pop(_META).tobytes())
        if sorted(arrays) != names:
            raise ValueError("arrays are missing")
        if not all(array.dtype.kind in "biuf" for array in arrays.values()):
            raise ValueError("it has entries that are not arrays of numbers")
    except DAMAGED as error:
        raise DamagedCheckpoint(f"{path} is damaged ({error})") from error
    return arrays, meta


class Checkpoints:
    """The checkpoints of a run: the latest ones, each with everything that resuming needs, and
    the best one, with the weights for evaluation and sampling only.
    """  # noqa: D205

    def __init__(self, directory, keep=3):
        """Args: directory: of the files; keep: number of latest checkpoints to keep."""
        self.directory = Path(directory)
        self.keep = keep

    def steps(self):
        """Returns the steps of the checkpoints that are there, in order."""
        if not self.directory.is_dir():
            return []
        matches = (_STEP_FILE.fullmatch(path.name) for path in self.directory.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def path(self, step):
        """Returns the path of the checkpoint of a step."""
        return self.directory / f"step-{step:09d}.npz"

    def save(self, step, arrays, meta):
        """Writes the checkpoint of a step, then deletes all but the latest `keep`."""
        write(self.path(step), arrays, meta)
        for old in self.steps()[: -self.keep]:
            self.path(old).unlink(missing_ok=True)

    def save_best(self, arrays, meta):
        """Replaces the best checkpoint."""
        write(self.directory / BEST, arrays, meta)

    def set_aside(self, step, suffix):
        """Renames the checkpoint of a step, so that it is one no more."""
        self.path(step).rename(self.path(step).with_suffix(suffix))

    def latest(self, set_aside=False):
        """Reads the latest checkpoint that is whole; warns of damaged ones after it.

        Args:
          set_aside: Whether damaged ones are renamed (to *.damaged) if an older one is whole, so
            that the run goes on as if they had not been written.

        Returns:
          Found, or None if there is no checkpoint at all.

        Raises:
          UserError: there are checkpoints and all are damaged.
        """
        damaged = {}
        for step in reversed(self.steps()):
            try:
                found = Found(*read(self.path(step)), self.path(step))
            except DamagedCheckpoint as error:
                damaged[step] = error
                continue
            for later, error in damaged.items():
                warnings.warn(f"{error}; using the checkpoint of step {step}", stacklevel=2)
                if set_aside:
                    self.set_aside(later, ".damaged")
            return found
        if damaged:
            raise UserError(
                f"all checkpoints in {self.directory} are damaged ({len(damaged)} tried; "
                f"{next(iter(damaged.values()))}); train again in another work directory"
            )
        return None

    def best(self):
        """Reads the best checkpoint.

        Returns:
          Found; None if it is missing, or (with a warning) damaged while there are others.

        Raises:
          UserError: it is damaged, and there is no other one.
        """
        path = self.directory / BEST
        if not path.exists():
            return None
        try:
            return Found(*read(path), path)
        except DamagedCheckpoint as error:
            if not self.steps():
                raise UserError(
                    f"{error}, and there is no other checkpoint; train again in another work "
                    "directory"
                ) from error
            warnings.warn(f"{error}; using the latest checkpoint", stacklevel=2)
            return None

    def any(self):
        """Says whether there is a checkpoint, whole or not."""
        return bool(self.steps()) or (self.directory / BEST).exists()

    def set_best_aside(self):
        """Renames the best checkpoint, which a run that starts has none of; returns its new path.

        Returns:
          Path, or None if there was none.
        """
        path = self.directory / BEST
        return path.replace(path.with_suffix(".before")) if path.exists() else None

    def remove_unfinished(self):
        """Deletes what a killed run left half written."""
        for path in self.directory.glob("*" + _TEMPORARY):
            path.unlink(missing_ok=True)


def path_of(variable):
    """The path of a variable without the name of its model, which counts those of the process."""
    return variable.path.partition("/")[2]


def named(section, variables, names=None):
    """Names variables as a checkpoint does: by their paths, never by their order.

    Args:
      section: What they are: "weights", "optimizer", ...
      variables: The variables.
      names: Their names in the section; by default the paths, see `path_of`.

    Returns:
      A dict such as {"weights/block_0/link/kernel": variable}.
    """
    names = map(path_of, variables) if names is None else names
    result = {f"{section}/{name}": x for name, x in zip(names, variables, strict=True)}
    if len(result) != len(variables):
        raise RuntimeError(f"several variables of {section} have the same path")
    return result


def values(variables):
    """The values of a dict of variables as NumPy arrays."""
    return {name: np.asarray(variable) for name, variable in variables.items()}


def assign(variables, arrays, path=""):
    """Gives variables the arrays of a checkpoint that have their names.

    Args:
      variables: A dict, see `named`; of their sections they must be all that is in the checkpoint.
      arrays: Dict of names and arrays.
      path: The file they are from, for messages.

    Raises:
      UserError: the arrays are not those of these variables, or hold NaN or infinite values; then
        none is changed.
    """
    wrong = f"the checkpoint {path} is of another model or version: "
    sections = {name.partition("/")[0] for name in variables}
    found = {name for name in arrays if name.partition("/")[0] in sections}
    if missing := [name for name in variables if name not in found]:
        raise UserError(f"{wrong}it has no {missing[0]}{_and_others(missing)}")
    if extra := sorted(found - variables.keys()):
        raise UserError(f"{wrong}it has {extra[0]}{_and_others(extra)}, which this model has not")
    for name, variable in variables.items():
        if arrays[name].shape != tuple(variable.shape):
            raise UserError(
                f"{wrong}{name} has shape {arrays[name].shape}, {tuple(variable.shape)} is needed"
            )
        if not np.isfinite(arrays[name]).all():
            raise UserError(
                f"the checkpoint {path} holds values that are not finite (in {name}); delete it to "
                "use another one, or train again in another work directory"
            )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _and_others(names):
    return f" (and {len(names) - 1} others)" if len(names) > 1 else ""
