"""Files that are written whole or not at all, and the errors of those that are damaged.

TensorFlow is not imported by importing this module.
"""

import contextlib
import errno
import os
import pickle
import zipfile
import zlib
from collections.abc import Callable

from gated_pixelcnn.errors import UserError

# All that was seen to be raised of damaged archives, and of arrays and JSON in them.
DAMAGED = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, AttributeError),
    *(RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error, pickle.UnpicklingError),
)


@contextlib.contextmanager
def atomic_write(
    path: str | os.PathLike,
    temporary: str | os.PathLike | None = None,
    advice: Callable[[], str] = str,
):
    """Opens a file that takes the place of another one when all of it is on the disk.

    Whatever happens before that, a crash of the machine included, `path` is as it was. Of an error
    no temporary file is left.

    Args:
      path: The file; its directory is made if it is missing.
      temporary: The name to write under, in the same directory; by default one of this process,
        so that several may write the same file.
      advice: Called if it fails: the end of the error's sentence.

    Yields:
      The file, open for writing bytes.

    Raises:
      UserError: It cannot be written; the message says why.
    """
    temporary = temporary or _temporary_beside(path)
    try:
        _make_place(path)
        try:
            with open(temporary, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.remove(temporary)
            raise
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror or error}){advice()}") from error


def check_writable(path: str | os.PathLike) -> None:
    """Finds out, before the work is done, that a file could not be written in the end.

    Args:
      path: The file; its directory is made if it is missing, what is there stays as it is.

    Raises:
      UserError: It cannot be written.
    """
    temporary = _temporary_beside(path)
    try:
        _make_place(path)
        open(temporary, "wb").close()
        os.remove(temporary)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror or error})") from error


def _temporary_beside(path):
    directory, name = os.path.split(os.path.abspath(path))
    return os.path.join(directory, f".{name}.{os.getpid()}.tmp")


def _make_place(path):
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
