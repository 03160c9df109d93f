"""Errors of the user, and the frame in which the command line scripts run.

A user's mistake ends with one clear sentence; a bug keeps its traceback. TensorFlow is not
imported by importing this module.
"""

import contextlib
import difflib
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator


class UserError(ValueError):
    """A user's mistake: a flag, a file, an image, a label, a configuration, a checkpoint.

    Its message is one clear sentence: what was wrong, what was found, what to do.

    Attributes:
      leave_at_once: Whether a script ends without TensorFlow's farewell, which can take a minute
        if other workers are gone.
    """

    leave_at_once = False

    def __init__(self, message: object = "") -> None:
        """Keeps the message as one line, whatever names of files are in it."""
        super().__init__(" ".join(str(message).splitlines()))


def nearest(word: str, candidates: Iterable[str]) -> str:
    """Returns a hint for an unknown name, to be put at the end of an error message.

    Args:
      word: The unknown name.
      candidates: The valid names.

    Returns:
      `; did you mean 'x'?` if one of the candidates is like the word, or else
      `; choose from a, b, c` (the first twenty of them, in the order given).
    """
    candidates = list(candidates)
    by_lower_case = {candidate.lower(): candidate for candidate in reversed(candidates)}
    similar = difflib.get_close_matches(word.lower(), by_lower_case, n=1, cutoff=0.6)
    if similar:
        return f"; did you mean {by_lower_case[similar[0]]!r}?"
    more = ", ..." if len(candidates) > 20 else ""
    return f"; choose from {', '.join(candidates[:20])}{more}"


def first_line(error: BaseException) -> str:
    """Returns the kind of an error and the first of its lines that tells something, cut."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [""]
    return f"{type(error).__name__}: {lines[0].strip()[:200]}"


@contextlib.contextmanager
def _held_stderr() -> Iterator[None]:
    """Holds back what is written to file descriptor 2; shows it only if the body fails."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, os.fdopen(os.dup(2), "wb") as real:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            real.write(held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(real.fileno(), 2)


@contextlib.contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Makes a module that is not imported yet seem not to be installed."""
    hidden = sys.modules.setdefault(module, None) is None
    try:
        yield
    finally:
        if hidden:
            del sys.modules[module]


def import_tensorflow_quietly() -> None:
    """Imports TensorFlow, and Keras with it, without its start-up noise.

    The log level alone leaves lines that native code writes before it reads the level (about
    cudart, for example), so file descriptor 2 is held back while TensorFlow starts and looks for
    devices. Set TF_CPP_MIN_LOG_LEVEL yourself to see TensorFlow's own messages after that.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Keras would import matplotlib for pictures that no script makes: a sixth of the whole import.
    with _held_stderr(), _hidden("matplotlib"):
        import tensorflow as tf

        tf.config.list_physical_devices()


def run(main: Callable[[list[str]], int | None], load_tensorflow: bool = True) -> None:
    """Runs a script's main function under absl and exits the process.

    The exit code is what `main` returns (None is 0); 1 after a UserError, printed as one line
    `error: ...` on stderr; 130 after Ctrl-C. A UserWarning is one line `warning: ...`.
    Any other exception keeps its traceback.

    Args:
      main: Function of the list of arguments that are left after the flags are parsed.
      load_tensorflow: Whether to import TensorFlow, quietly, before `main`; after the flags are
        parsed, so that `--help` and wrong flags do not wait for it.
    """
    from absl import app, logging

    show_warning = warnings.showwarning

    def show_plainly(message, category, *where, **more):
        if not issubclass(category, UserWarning):
            return show_warning(message, category, *where, **more)
        print("warning:", " ".join(str(message).splitlines()), file=sys.stderr)

    warnings.showwarning = show_plainly

    def main_after_import(argv):
        # TensorFlow Datasets warns of its own deprecations through absl.
        logging.set_verbosity(logging.ERROR)
        if load_tensorflow:
            import_tensorflow_quietly()
        return main(argv)

    try:
        app.run(main_after_import)
    except UserError as error:
        print("error:", " ".join(str(error).splitlines()), file=sys.stderr, flush=True)
        if error.leave_at_once:
            sys.stdout.flush()
            os._exit(1)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
