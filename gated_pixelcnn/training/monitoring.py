"""What a run leaves to look at: metrics.jsonl, TensorBoard, grids of samples."""

import contextlib
import json
import os

import numpy as np
import tensorflow as tf

from gated_pixelcnn import images
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.training.checkpoints import what_is_left


class Monitor:
    """Writes the reports of a run; a context manager.

    A line of metrics.jsonl is one report: {"step": 100, "train_bits_per_dim": ...}.
    """

    def __init__(self, run, step, levels, evaluated=0):
        """Opens the files.

        Args:
          run: RunDirectory.
          step: The step at which training starts or resumes: what a run that was stopped reported
            after it will be reported again, and is removed from metrics.jsonl.
          levels: Number of values of a colour, for the grids.
          evaluated: The step of the last validation that the run knows of: one that it made up for
            and was stopped before it saved will be reported again, too.
        """
        self._levels = levels
        self._samples = run.samples
        self._run = run
        with _clear_errors(run):
            _truncate(run.metrics, step, evaluated)
            self._metrics = open(run.metrics, "a")  # noqa: SIM115 (closed by __exit__)
            self._tensorboard = tf.summary.create_file_writer(str(run.tensorboard))

    def __enter__(self):
        """Nothing more to open."""
        return self

    def __exit__(self, *exception):
        """Closes the files; an error of this does not hide the one that ends the run."""
        try:
            with _clear_errors(self._run), contextlib.ExitStack() as files:
                files.callback(self._tensorboard.close)
                files.callback(self._metrics.close)
        except UserError:
            if exception[0] is None:
                raise

    def config(self, config):
        """Shows the configuration as text."""
        lines = "\n".join("    " + line for line in str(config).splitlines())
        with _clear_errors(self._run), self._tensorboard.as_default(step=0):
            tf.summary.text("config", lines)

    def scalars(self, step, values):
        """Reports numbers.

        Args:
          step: Steps made.
          values: Dict of names ("train/bits_per_dim" in TensorBoard is "train_bits_per_dim" in the
            file) and numbers.
        """
        line = {"step": step} | {name.replace("/", "_"): value for name, value in values.items()}
        with _clear_errors(self._run):
            self._metrics.write(json.dumps(line) + "\n")
            self._metrics.flush()
            with self._tensorboard.as_default(step=step):
                for name, value in values.items():
                    tf.summary.scalar(name, value)
            self._tensorboard.flush()

    def samples(self, step, batch):
        """Shows images, uint8 [N, H, W, C], as a grid: TensorBoard and samples/step-*.png."""
        grid = images.grid(np.asarray(batch), self._levels)
        with _clear_errors(self._run):
            self._samples.mkdir(exist_ok=True)
            images.save_png(self._samples / f"step-{step:09d}.png", grid)
            with self._tensorboard.as_default(step=step):
                tf.summary.image("samples", grid[np.newaxis])
            self._tensorboard.flush()


@contextlib.contextmanager
def _clear_errors(run):
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"cannot write to the work directory {run.path} ({reason}); "
            f"{what_is_left(run.checkpoints)}: make room and start the same command again"
        ) from error


def _truncate(path, step, evaluated):
    """Drops what was reported after these steps, and a line that was only half written."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines(keepends=True):
        try:
            report = json.loads(line)
            last = evaluated if "validation_bits_per_dim" in report else step
            if report["step"] <= last and line.endswith("\n"):
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_text("".join(kept))
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
