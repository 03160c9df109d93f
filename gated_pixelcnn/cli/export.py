"""Exports a trained model as a SavedModel, for TensorFlow Serving and every other TensorFlow.

python export.py --workdir=runs/a
python export.py --workdir=runs/a --output=/models/digits
"""

import sys

from absl import flags

from gated_pixelcnn import cli, errors
from gated_pixelcnn.runs.directory import RunDirectory

FLAGS = flags.FLAGS


def define_flags():
    """Defines the script's flags."""
    cli.define_run_flags(FLAGS)
    cli.define_path(
        "output",
        "Directory of the versions 1, 2, …, to which one is added. By default export in the run's "
        "directory.",
        FLAGS,
    )
    flags.DEFINE_enum(
        "checkpoint",
        "best",
        ["best", "latest"],
        "Which weights: those of the best validation or the latest ones.",
        flag_values=FLAGS,
    )
    flags.DEFINE_integer(
        "max_images",
        256,
        "Images in one request, at most: a request for more is refused before it takes the "
        "server's memory.",
        flag_values=FLAGS,
    )
    flags.DEFINE_bool(
        "warm_up",
        True,
        "Write warm-up requests; a server that batches requests needs a version without.",
        flag_values=FLAGS,
    )
    flags.DEFINE_bool(
        "jit",
        False,
        "Compile what draws with XLA, at the first request of a number of images: faster, but not "
        "every server can run it.",
        flag_values=FLAGS,
    )


def main(argv):
    """Runs the script; see the module."""
    cli.check_no_arguments(argv)
    cli.resolve_paths(FLAGS)
    cli.check_at_least(1, max_images=FLAGS.max_images)
    cli.check_workdir(FLAGS.workdir)
    RunDirectory(FLAGS.workdir).read_facts()
    errors.import_tensorflow_quietly()
    from gated_pixelcnn.serving import export, load_saved_model

    path = export(
        FLAGS.workdir,
        FLAGS.output,
        FLAGS.checkpoint,
        FLAGS.max_images,
        FLAGS.warm_up,
        FLAGS.prior or (),
        FLAGS.jit,
    )
    print(f"SavedModel: {path}")
    print(f"signatures: {', '.join(load_saved_model(path).signatures)}")


def run():
    """The entry point of export.py and of the console command."""
    sys.modules["__main__"].__doc__ = __doc__
    flags.disclaim_key_flags()
    define_flags()
    errors.run(main, load_tensorflow=False)  # main does, when what is cheap was checked
