"""The directory of a SavedModel's versions, 1, 2, …, as TensorFlow Serving watches it."""

import contextlib
import shutil
import signal
import sys
import threading
import time
import uuid

from gated_pixelcnn.errors import UserError

_UNFINISHED = ".unfinished-"
_STALE = 24 * 3600  # seconds after which what is unfinished was left behind by a process that died
_HIGHEST = 2**63 - 1  # a server keeps them as int64


def numbers(directory):
    """The numbers of the versions in a directory (pathlib.Path), in order."""
    names = (path.name for path in directory.iterdir())
    found = (int(name) for name in names if name.isascii() and name.isdecimal())
    # What is called 007 is not where a path would be made of its number.
    return sorted(n for n in found if n <= _HIGHEST and (directory / str(n)).exists())


def find(path):
    """The version that a path (pathlib.Path) names: itself, or the latest one in it.

    Raises:
      UserError: it is neither.
    """
    if not path.is_dir():
        raise UserError(f"there is no directory {path}; export.py prints where it writes")
    if is_version(path):
        return path
    found = numbers(path)
    if not found:
        hint = f"; did you mean {path / 'export'}?" if (path / "export").is_dir() else ""
        raise UserError(
            f"{path} holds no SavedModel: neither saved_model.pb nor versions of it{hint}"
        )
    return path / str(found[-1])


def is_version(directory):
    """Whether a directory (pathlib.Path) is a version itself."""
    return (directory / "saved_model.pb").exists()


@contextlib.contextmanager
def unfinished(directory):
    """A path for a version that is being written, which no server looks at.

    What is there when the context ends, by SIGTERM or Ctrl-C too, is deleted; what a process left
    that was killed, by one that comes a day later.

    Args:
      directory: of the versions (pathlib.Path); made if it is not there.

    Raises:
      UserError: it is a version itself.
    """
    if is_version(directory):
        raise UserError(
            f"{directory} is a version of a SavedModel itself; give the directory that it is in"
        )
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.glob(_UNFINISHED + "*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE:
                shutil.rmtree(path, ignore_errors=True)
    path = directory / f"{_UNFINISHED}{uuid.uuid4().hex}"  # several processes may export at once
    with _sigterm_is_an_exit():
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def publish(finished, directory):
    """Renames a finished version to the first number after those that are there.

    Returns:
      Its path.
    """
    while True:
        version = directory / str(max(numbers(directory), default=0) + 1)
        try:
            finished.rename(version)
        except OSError:
            if version.exists():  # another process was faster
                continue
            raise
        return version


@contextlib.contextmanager
def _sigterm_is_an_exit():
    """In this context SIGTERM raises SystemExit, so that what must be cleaned up is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
