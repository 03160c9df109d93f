"""The command line scripts. Each module has `define_flags`, `main` and `run`, the entry point."""

import contextlib

from absl import flags

from gated_pixelcnn import paths
from gated_pixelcnn.data.config import CHOICES
from gated_pixelcnn.errors import UserError

flags.disclaim_key_flags()  # flags are the script's that defines them


class _PathParser(flags.ArgumentParser):
    """Marks the flags that `resolve_paths` looks at."""

    def flag_type(self):
        """Its name in absl's messages."""
        return "path"


def define_path(name, help, values, multi=False):
    """Defines a flag that is a path, or with `multi` any number of paths; not given, it is None."""
    define = flags.DEFINE_multi if multi else flags.DEFINE
    how = {"parser": _PathParser(), "serializer": flags.ArgumentSerializer()}
    define(name=name, default=None, help=help, flag_values=values, **how)


def resolve_paths(values):
    """Makes paths of this machine of all flags that are paths, see `paths.local`."""
    for name in values:
        flag = values[name]
        if isinstance(flag.parser, _PathParser) and flag.value is not None:
            several = isinstance(flag.value, list)
            flag.value = [*map(paths.local, flag.value)] if several else paths.local(flag.value)


def define_model_flags(values):
    """Defines the flags of `load_model` in FlagValues."""
    define_run_flags(values)
    define_path(
        "saved_model",
        "Instead of a run: the directory that export.py wrote. A SavedModel is a program: take it "
        "from people you trust only.",
        values,
    )


def define_run_flags(values):
    """Defines those that name a run."""
    define_path("workdir", "Directory of the run.", values)
    define_path(
        "prior",
        "Of an auxiliary model whose submodels were trained apart: directory of the run with "
        "model.train_only=prior. Again for the prior of that prior.",
        values,
        multi=True,
    )


def define_reading_flags(values, layout=False):
    """Defines those that tell how images are read, where that is not as the run read its own.

    Args:
      values: FlagValues that get the flags.
      layout: whether also how folders are.
    """
    for name, what in (
        *([("layout", "what the sub-folders of a folder are")] if layout else ()),
        ("values", "what the values of given images are"),
        ("alpha", "what is done to transparent pixels"),
        ("frames", "which images of a file with several are taken"),
    ):
        choices = [choice for choice in CHOICES[name] if choice != "auto"]
        flags.DEFINE_enum(
            name,
            None,
            choices,
            f"Of images that are not the run's own: {what}, as data.{name} says of those that a "
            "run is trained on. By default as the run read its own.",
            flag_values=values,
        )


def read_run(values):
    """What config.json of the run that flags name tells without TensorFlow.

    Args:
      values: of the flags of `define_model_flags`: workdir or saved_model must be given.

    Returns:
      See `RunDirectory.read_facts`; None of a SavedModel.

    Raises:
      UserError: it is no directory of a run, or the flags exclude each other.
    """
    workdir, saved_model = values.workdir, values.saved_model
    if workdir and saved_model:
        raise UserError("give either --workdir or --saved_model, not both")
    if saved_model and values.prior:
        raise UserError("--prior needs --workdir: an exported model holds its prior")
    if saved_model:
        return None
    from gated_pixelcnn.runs.directory import RunDirectory

    check_workdir(workdir, ", or --saved_model, the one that export.py wrote")
    return RunDirectory(workdir).read_facts()


def load_model(values, whole=True):
    """Loads what a script needs: of a trained run, or of a SavedModel; after `read_run`.

    Args:
      values: of the flags of `define_model_flags`: workdir or saved_model must be given.
      whole: whether all submodels must have been trained.

    Returns:
      The model (of a run with its best averaged weights), and the run's config.json as a dict, see
      `runs.directory`.

    Raises:
      UserError: it is not such a directory, or what it holds cannot be used.
    """
    if values.saved_model:
        from gated_pixelcnn.serving import load_saved_model

        model = load_saved_model(values.saved_model)
        return model, model.run
    from gated_pixelcnn.runs.directory import RunDirectory
    from gated_pixelcnn.runs.load import check_trained, load

    record = RunDirectory(values.workdir).read_config()
    model = load(values.workdir, prior=values.prior or ())
    if whole:
        check_trained(model)
    return model, record


@contextlib.contextmanager
def beside(workdir):
    """An error in this context says that it is about the run of --beside=workdir."""
    try:
        yield
    except (UserError, FloatingPointError) as error:
        raise UserError(f"--beside={workdir}: {error}") from error


def load_beside(workdir, model):
    """Loads another run, that is to be compared with a model on the same images.

    Args:
      workdir: the directory that train.py wrote.
      model: the model that is compared.

    Returns:
      What `load_model` does.

    Raises:
      UserError: it is not such a directory, or the run is of other images.
    """
    from gated_pixelcnn.runs.directory import RunDirectory
    from gated_pixelcnn.runs.load import check_trained, load
    from gated_pixelcnn.spec import kind_of_images

    with beside(workdir):
        record = RunDirectory(workdir).read_config()
        other = load(workdir)
        check_trained(other)
        found, wanted = (other.image_shape, other.levels), (model.image_shape, model.levels)
        if found != wanted:
            raise UserError(
                f"this run is of images of {kind_of_images(*found)}, but the model was trained on "
                f"images of {kind_of_images(*wanted)}"
            )
    return other, record


def check_workdir(workdir, otherwise=""):
    """Raises a UserError where --workdir is missing; `otherwise` says what else may be given."""
    if not workdir:
        raise UserError(f"--workdir is missing: give the directory that train.py wrote{otherwise}")


def check_no_arguments(argv):
    """Raises a UserError for what is left of a command line after its flags."""
    if argv[1:]:
        raise UserError(f"unexpected argument {argv[1]!r}; options look like --workdir=runs/a")


def check_at_least(least, **values):
    """Raises a UserError for a flag whose number is too small; None is always right."""
    for name, value in values.items():
        if value is not None and value < least:
            raise UserError(f"--{name} must be at least {least}, got {value}")
