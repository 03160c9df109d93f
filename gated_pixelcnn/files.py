"""Files that are written whole or not at all.

TensorFlow is not imported by importing this module.
"""

import contextlib
import errno
import os

from gated_pixelcnn.errors import UserError


def check_writable(path):
    """Finds out, before the work is done, that a file could not be written in the end.

    Args:
      path: the file; its directory is made if it is missing, what is there stays as it is.

    Raises:
      UserError: it cannot be written.
    """
    with _clear_write_errors(path), _temporary_beside(path) as temporary:
        open(temporary, "wb").close()


@contextlib.contextmanager
def written_aside(path):
    """Opens a file for writing under a temporary name; only when all is well it gets its name.

    Args:
      path: the file; its directory is made if it is missing.

    Yields:
      The file, open for writing bytes.

    Raises:
      UserError: the file cannot be written; what was there before is still there.
    """
    with _clear_write_errors(path), _temporary_beside(path) as temporary:
        with open(temporary, "wb") as file:
            yield file
        os.replace(temporary, path)


@contextlib.contextmanager
def _clear_write_errors(path):
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror or error})") from error


@contextlib.contextmanager
def _temporary_beside(path):
    """Gives the name of a temporary file in the directory of `path`; deletes it in the end."""
    directory, name = os.path.split(os.path.abspath(path))
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    os.makedirs(directory, exist_ok=True)
    temporary = os.path.join(directory, f".{name}.{os.getpid()}.tmp")
    try:
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            os.remove(temporary)
