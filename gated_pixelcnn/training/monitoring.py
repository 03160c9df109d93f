"""Records of a run for people: metrics.jsonl, TensorBoard, grids of samples."""

import contextlib
import json

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams_plugin

from gated_pixelcnn import visualization
from gated_pixelcnn.configs import complete, flat
from gated_pixelcnn.configs.training import REPORTING
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation.evaluators import DETAILED
from gated_pixelcnn.files import atomic_write
from gated_pixelcnn.runs.checkpoints import advice

# What a run reports: the name in metrics.jsonl, the tag in TensorBoard (which sorts by tag) and
# what it is. {loss} and {validation} are the model's: bits_per_dim of a density model.
SCALARS = {
    "train_{loss}": (
        "{loss}/train",
        "Mean over the batches since the last report, of the weights of each step, with dropout.",
    ),
    "validation_{validation}": (
        "{validation}/validation",
        "Of the averaged weights (train.ema_decay) on the validation images.",
    ),
    "train_learning_rate": ("optimizer/learning_rate", "Of the last step."),
    "train_gradient_norm": (
        "optimizer/gradient_norm",
        "Mean since the last report of the norm of the gradient of all weights, before clipping.",
    ),
    "train_loss_scale": (
        "optimizer/loss_scale",
        "What the loss is multiplied by against the underflow of float16 gradients.",
    ),
    "train_images_per_second": (
        "speed/images_per_second",
        "Training speed since the last report, over all replicas, without validation and samples.",
    ),
}
# The keys that neither change what is learnt nor how fast: no columns in the table of runs.
_NOT_HPARAMS = {
    "description",
    "expected",
    *(f"data.{key}" for key in ("data_dir", "download", "memory_limit_mb")),
    *(f"train.{key}" for key in REPORTING),
}


class Monitor:
    """Writes the reports of a run; a context manager.

    A line of metrics.jsonl is one report: {"step": 100, "train_bits_per_dim": ...}.
    """

    def __init__(
        self, run, step, look, loss="bits_per_dim", validation="bits_per_dim", evaluated=0
    ):
        """Opens the files.

        Args:
          run: RunDirectory.
          step: The step at which training starts or resumes: what a run that was stopped reported
            after it will be reported again, and is removed from metrics.jsonl.
          look: How values are shown in grids, see `visualization.look`.
          loss: Name of the loss, see Trainable.
          validation: Name of the evaluator of the validation.
          evaluated: The step of the last validation that the run knows of: one that it made up for
            and was stopped before it saved will be reported again, too.
        """
        self._look = look
        names = {"loss": loss, "validation": validation}
        self._scalars = {
            name.format(**names): (tag.format(**names), description)
            for name, (tag, description) in SCALARS.items()
        }
        for evaluator in DETAILED:
            details = evaluator.scalars.items()
            self._scalars |= {f"validation_{name}": scalar for name, scalar in details}
        self._samples = run.samples
        self._run = run
        with clear_errors(run):
            _truncate(run, step, evaluated)
            self._metrics = open(run.metrics, "a")  # noqa: SIM115 (closed by __exit__)
            self._tensorboard = tf.summary.create_file_writer(str(run.tensorboard))

    def __enter__(self):
        """Nothing more to open."""
        return self

    def __exit__(self, *exception):
        """Closes the files; an error of this does not hide the one that ends the run."""
        try:
            with clear_errors(self._run), contextlib.ExitStack() as files:
                files.callback(self._tensorboard.close)
                files.callback(self._metrics.close)
        except UserError:
            if exception[0] is None:
                raise

    def config(self, step, config):
        """Shows the configuration: as text, and in the table that compares runs (HParams).

        It takes the place of the configuration with which the run was started before: the table
        has the first one that it finds.

        Args:
          step: Steps made before.
          config: ConfigDict.
        """
        hparams = {
            key: "none" if value is None else value
            for key, value in flat(config).items()
            if key not in _NOT_HPARAMS
        }
        directory, suffix = self._run.tensorboard, ".config"
        with clear_errors(self._run):
            before = list(directory.glob(f"*{suffix}"))
            file = tf.summary.create_file_writer(str(directory), filename_suffix=suffix)
            with contextlib.closing(file), file.as_default(step=step):
                tf.summary.text("config", _table(config))
                # By default runs with the same values would share a row.
                hparams_plugin.hparams(hparams, trial_id=str(self._run.path))
            for path in before:
                path.unlink()

    def scalars(self, step, values):
        """Reports numbers.

        Args:
          step: Steps made.
          values: Dict of names, see SCALARS, and numbers; or arrays, of which TensorBoard shows the
            distribution.
        """
        numbers = {name: value for name, value in values.items() if np.ndim(value) == 0}
        with clear_errors(self._run):
            self._metrics.write(json.dumps({"step": step} | numbers) + "\n")
            self._metrics.flush()
            with self._tensorboard.as_default(step=step):
                for name, value in values.items():
                    tag, description = self._scalars[name]
                    show = tf.summary.scalar if name in numbers else tf.summary.histogram
                    show(tag, value, description=description)
            self._tensorboard.flush()

    def samples(self, step, batch, columns=None):
        """Shows images, uint8 [N, H, W, C], as a grid: TensorBoard and samples/step-*.png."""
        grid = visualization.grid(np.asarray(batch), self._look, columns)
        with clear_errors(self._run):
            self._samples.mkdir(exist_ok=True)
            visualization.save_png(self._samples / f"step-{step:09d}.png", grid)
            with self._tensorboard.as_default(step=step):
                tf.summary.image("samples", grid[np.newaxis])
            self._tensorboard.flush()

    def histograms(self, step, variables):
        """Shows how the values of each Keras variable are distributed."""
        with clear_errors(self._run):
            with self._tensorboard.as_default(step=step):
                for variable in variables:
                    # Without the model's name, which counts the models of the process.
                    _, _, path = variable.path.partition("/")
                    tf.summary.histogram(f"weights/{path}", np.asarray(variable))
            self._tensorboard.flush()


@contextlib.contextmanager
def clear_errors(run):
    """Whatever cannot be written in this context becomes a UserError."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"cannot write to the work directory {run.path} ({reason}){advice(run.checkpoints)}"
        ) from error


def _table(config):
    """The configuration in Markdown; what is not the default comes first."""
    values = flat(config)
    defaults = flat(complete({key: x for key, x in values.items() if key.endswith(".family")}))
    changed, unchanged = [], []
    for key, value in values.items():
        if value == defaults[key]:
            unchanged.append(f"| {key} | {_code(value)} | |")
        else:
            changed.append(f"| **{key}** | {_code(value)} | {_code(defaults[key])} |")
    return "\n".join(["| key | value | default |", "|---|---|---|", *changed, *unchanged])


def _code(value):
    """A value as it is written on the command line."""
    text = str(value).lower() if value is None or isinstance(value, bool) else str(value)
    return f"`{text}`" if text else ""


def _truncate(run, step, evaluated):
    """Drops what was reported after these steps, and lines that are no reports: half written."""
    path = run.metrics
    if not path.exists():
        return
    kept = []
    for line in path.read_text(errors="replace").splitlines(keepends=True):
        try:
            report = json.loads(line)
            validation = any(key.startswith("validation_") for key in report)
            last = evaluated if validation else step
            if report["step"] <= last and line.endswith("\n"):
                kept.append(line)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    with atomic_write(path, path.with_suffix(".tmp"), lambda: advice(run.checkpoints)) as file:
        file.write("".join(kept).encode())
