"""The command line scripts. Each module has `define_flags`, `main` and `run`, the entry point."""

from gated_pixelcnn.errors import UserError


def load_run(workdir):
    """Loads what a script needs of a trained run.

    Args:
      workdir: the directory that train.py wrote.

    Returns:
      The model with its best averaged weights, and the run's config.json as a dict, see
      `run_directory`.

    Raises:
      UserError: it is not such a directory, or what it holds cannot be used.
    """
    from gated_pixelcnn import building
    from gated_pixelcnn.training.run_directory import RunDirectory

    if not workdir:
        raise UserError("--workdir is missing: give the directory that train.py wrote")
    record = RunDirectory(workdir).read_config()
    return building.load(workdir), record


def check_at_least(least, **values):
    """Raises a UserError for a flag whose number is too small; None is always right."""
    for name, value in values.items():
        if value is not None and value < least:
            raise UserError(f"--{name} must be at least {least}, got {value}")
