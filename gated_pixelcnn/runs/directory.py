"""The run directory (`--workdir`): what it holds, who may write to it, and its config.json."""

import json
from pathlib import Path

from gated_pixelcnn import paths
from gated_pixelcnn.configs import complete, flat
from gated_pixelcnn.configs.training import CHANGEABLE, CHANGEABLE_ON_REQUEST
from gated_pixelcnn.data.preprocessing import BYTES, LEVELS
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.files import atomic_write

FORMAT = 3
# Of every section one key: a configuration without it is not one of ours. Others that are missing
# are later than the run, and have their defaults.
_NEEDED = ("seed", "data.source", "model.family", "train.steps")
_FREE = {f"train.{name}" for name in CHANGEABLE} | {"description", "expected"}


class RunDirectory:
    """Paths of a run, its lock and its configuration.

    Attributes:
      path, checkpoints, tensorboard, samples: Directories (pathlib.Path).
      metrics: The file metrics.jsonl.
    """

    def __init__(self, workdir):
        """Only computes the paths; nothing is made."""
        self.path = Path(paths.local(workdir))
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self.samples = self.path / "samples"
        self.metrics = self.path / "metrics.jsonl"
        self.config = self.path / "config.json"
        self._lock = None

    def __enter__(self):
        """Makes the directory and locks it against a second run.

        Raises:
          UserError: it cannot be written to, or another process trains in it; or this is Windows,
            whose Python has no locks of this kind.
        """
        try:
            import fcntl  # here, so that runs can be loaded everywhere
        except ImportError:
            raise UserError(
                "a run is trained on Linux or macOS, where Python can lock its work directory "
                "(fcntl); elsewhere it can be loaded, evaluated and sampled"
            ) from None
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.path / "lock", "a")  # noqa: SIM115 (held until __exit__)
        except OSError as error:
            raise UserError(
                f"cannot write to the work directory {self.path} ({error.strerror}); choose "
                "another one with --workdir"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise UserError(
                f"another process is training in the work directory {self.path}; wait for it, stop "
                "it, or choose another directory with --workdir"
            ) from error
        return self

    def __exit__(self, *exception):
        """Gives the lock back (a process that dies gives it back, too)."""
        self._lock.close()

    def write_config(self, record):
        """Writes config.json; see `record`."""
        advice = "; make room and start the same command again"
        with atomic_write(self.config, self.config.with_suffix(".tmp"), lambda: advice) as file:
            file.write((json.dumps(record, indent=2) + "\n").encode())

    def read_config(self):
        """Reads config.json.

        Raises:
          UserError: it is missing or not one of ours.
        """
        return self._read(checked_record)

    def read_facts(self):
        """The same but for "config", which is what the file has and not complete: a plain dict.

        Completing it needs the families, and they need TensorFlow.
        """
        return self._read(checked_facts)

    def _read(self, checked):
        if not self.config.is_file():
            raise UserError(
                f"{self.path} is not the work directory of a run: it has no config.json; "
                "give the --workdir that train.py was started with"
            )
        try:
            record = json.loads(self.config.read_text())
            if (found := record["format"]) == FORMAT:
                return checked(record)
        except KeyError as error:
            raise UserError(
                f"{self.config} is damaged ({error.args[0]} is missing); restore or retrain"
            ) from error
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"{self.config} is damaged ({error}); restore or retrain") from error
        raise UserError(f"{self.config} has format {found}; this version reads {FORMAT}")


def checked_record(record):
    """The record of a run as it was before JSON; raises KeyError, TypeError or ValueError."""
    return checked_facts(record) | {"config": complete(record["config"])}


def checked_facts(record):
    """The same but for its configuration, see `RunDirectory.read_facts`."""
    keys = flat(record["config"])
    for key in _NEEDED:
        keys[key]
    for field in ("class_names", "condition_names"):
        names = record[field]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{field} are not a list of names")
    found = record["data"]
    if found.get("values", BYTES) not in (LEVELS, BYTES):
        raise ValueError("data.values are neither levels nor bytes")
    empty = found.get("empty_classes", [])
    if not isinstance(empty, list) or not all(type(label) is int for label in empty):
        raise ValueError("data.empty_classes are not labels")
    shape, _, _ = checked_sizes(record)
    return record | {"image_shape": shape, "data": found}


def checked_sizes(record):
    """Returns (image_shape, levels, condition_size); raises KeyError, TypeError or ValueError."""
    shape, levels, condition_size = (
        record[key] for key in ("image_shape", "levels", "condition_size")
    )
    sizes = (*shape, levels, condition_size)
    if len(sizes) != 5 or not all(type(size) is int and 0 <= size < 2**31 for size in sizes):
        raise ValueError("image_shape, levels and condition_size are not those of images")
    return tuple(shape), levels, condition_size


def names_of_condition(record):
    """The names of the classes, or of the entries of the vector or maps, of the model of a run."""
    is_label = record["config"].model.get("condition") == "label"
    return record["class_names" if is_label else "condition_names"]


def record(
    config,
    image_shape,
    levels,
    condition_size,
    class_names=(),
    fingerprint=None,
    found=None,
    condition_names=(),
):
    """Everything that is needed to rebuild the model of a run, for JSON.

    Args:
      config: ConfigDict.
      image_shape: (H, W, C).
      levels: Number of values of a colour.
      condition_size: Number of classes, length of the vector or number of maps; 0: no condition.
      class_names: Names of the classes, if known.
      fingerprint: That of the images, see Data.
      found: What was decided of them, see `Data.record`.
      condition_names: Names of the entries of a vector or maps, if known.
    """
    return {
        "format": FORMAT,
        "config": json.loads(config.to_json_best_effort()),
        "image_shape": list(image_shape),
        "levels": int(levels),
        "condition_size": int(condition_size),
        "class_names": [str(name) for name in class_names or ()],
        "condition_names": [str(name) for name in condition_names or ()],
        "fingerprint": fingerprint,
        "data": found or {},
    }


def differences(old, new, allow_changes=False):
    """Lists what would make a resumed run another one.

    Args:
      old: `record` of the run that is there.
      new: `record` of the run that is asked for.
      allow_changes: Leaves out what may be changed on request.

    Returns:
      List of texts such as "model.features: 32 in the run, 64 now"; empty if none.
    """
    parts = ["image_shape", "levels", "condition_size"]
    parts += ["fingerprint"] if old["fingerprint"] is not None else []
    parts += [field for field in ("class_names", "condition_names") if old[field]]
    before = flat(old["config"]) | {part: list(flat_value(old[part])) for part in parts}
    now = flat(new["config"]) | {part: list(flat_value(new[part])) for part in parts}
    if "values" in old["data"]:
        for described, values in ((before, old["data"]), (now, new["data"])):
            described["values of the images"] = values["values"]
    missing = "(not set)"
    free = _FREE | ({f"train.{key}" for key in CHANGEABLE_ON_REQUEST} if allow_changes else set())
    return [
        f"{key}: {_shown(before.get(key, missing))} in the run, {_shown(now.get(key, missing))} now"
        for key in sorted(before.keys() | now.keys())
        if key not in free and before.get(key, missing) != now.get(key, missing)
    ]


def flat_value(value):
    """A number or a sequence as a sequence."""
    return value if isinstance(value, list | tuple) else (value,)


def _shown(value):
    """A value as text that can be seen."""
    return "''" if value == "" else value
