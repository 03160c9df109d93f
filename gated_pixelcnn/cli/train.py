"""Trains a model, or goes on with a run that was stopped.

python train.py --config=demo --workdir=runs/demo
python train.py --config=cifar10 --config.model.features=96 --workdir=runs/a
python train.py --config=digits
python train.py --list_presets
"""

import re
import sys
from pathlib import Path

from absl import flags

from gated_pixelcnn import errors, paths
from gated_pixelcnn.errors import UserError

FLAGS = flags.FLAGS
_OVERRIDE = re.compile(r"--?config\.([^=]+)")


def define_flags(argv):
    """Defines the script's flags, and one for each --config.<key> among the arguments."""
    flags.DEFINE_string(
        "config",
        "demo",
        "A preset (see --list_presets) or the path of a configuration file. Each of its keys but "
        "the family can be changed: --config.model.features=96.",
    )
    flags.DEFINE_string(
        "workdir",
        None,
        "Directory of the run; an existing run is resumed. By default runs/<name of the preset>.",
    )
    flags.DEFINE_string(
        "strategy",
        "auto",
        "Where to train: one_device; mirrored (all GPUs of this machine); multi_worker (all "
        "machines of TF_CONFIG or SLURM); auto: what of these the machine and TF_CONFIG suggest.",
    )
    flags.DEFINE_integer(
        "cpu_devices",
        None,
        "Cuts the CPU into so many devices, to try --strategy=mirrored without GPUs.",
        lower_bound=1,
    )
    flags.DEFINE_bool(
        "allow_changes",
        False,
        "Go on with a run though its learning rate, schedule or clipping is now another: for one "
        "that diverged.",
    )
    flags.DEFINE_bool("list_presets", False, "Print the presets and exit.")
    flags.DEFINE_bool("markdown", False, "With --list_presets: print the page docs/presets.md.")
    for key in _override_keys(argv):
        flags.DEFINE_string(f"config.{key}", None, "A change of the configuration.")


def _override_keys(argv):
    return dict.fromkeys(match[1] for match in map(_OVERRIDE.match, argv) if match)


def main(argv):
    """Prints the presets or trains; returns the exit code."""
    if len(argv) > 1:
        raise UserError(f"unexpected argument {argv[1]!r}; flags start with --")
    if FLAGS.list_presets:
        from gated_pixelcnn.cli import presets

        print(presets.as_markdown() if FLAGS.markdown else presets.as_text())
        return 0
    if FLAGS.markdown:
        raise UserError("--markdown needs --list_presets")
    errors.import_tensorflow_quietly()
    from gated_pixelcnn import configs
    from gated_pixelcnn.training import strategies, train

    overrides = [f"{key}={FLAGS[f'config.{key}'].value}" for key in _override_keys(sys.argv)]
    config = configs.get_config(FLAGS.config, overrides)
    if FLAGS.workdir == "":
        raise UserError("--workdir is empty: give the directory of the run, such as runs/a")
    workdir = paths.local(FLAGS.workdir or Path("runs") / Path(FLAGS.config).stem)
    if FLAGS.cpu_devices:
        strategies.divide_cpu(FLAGS.cpu_devices)
    result = train.train(config, workdir, FLAGS.strategy, FLAGS.allow_changes)
    print(summary(result, workdir))
    return 0


def summary(result, workdir):
    """Says in a few lines how a run ended."""
    reason = {
        "steps": "all steps made; raise train.steps to go on",
        "minutes": "time is up; raise train.minutes to go on",
    }.get(result.stopped_by, f"{result.stopped_by}; the same command goes on")
    lines = [f"step {result.step}: {reason}"]
    if result.best_loss is not None:
        best = f"{result.best_loss:.4f} {result.unit} at step {result.best_step}"
        lines.append(f"best validation: {best}")
    lines.append(f"run: {workdir}")
    return "\n".join(lines)


def run():
    """Entry point of train.py and of the console command."""
    # What --help prints: this module's text, and its flags as those of the script.
    sys.modules["__main__"].__doc__ = __doc__
    flags.disclaim_key_flags()
    define_flags(sys.argv)
    errors.run(main, load_tensorflow=False)  # main does, unless it lists the presets
