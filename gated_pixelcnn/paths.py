"""Paths as users give them: one place for `~`, for URLs, and for lists of names."""

import os
import re
from collections.abc import Callable

from gated_pixelcnn.errors import UserError

PathLike = str | os.PathLike
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def local(path: PathLike) -> str:
    """Returns a path of this machine as text, `~` and `~user` at its beginning expanded.

    Raises:
      UserError: it is a URL (gs://, s3://, https://, file://, …), or no path at all.
    """
    try:
        text = os.fspath(path)
    except TypeError:
        raise UserError(f"a path must be text, but is {path!r}") from None
    text = os.fsdecode(text)
    if _URL.match(text):
        raise UserError(
            f"{text} is a URL, but only files and directories of this machine are read and "
            "written: copy or mount it, and give its path"
        )
    return os.path.expanduser(text)


def of_saved_model(path: str | os.PathLike) -> str:
    """Returns the path of a SavedModel, as `local` does.

    Raises:
      UserError: see `local`; or TensorFlow, to which these are patterns, would not find its files.
    """
    text = local(path)
    if found := re.search(r"[*?[\\]", text):
        raise UserError(
            f"{text} cannot be the place of a SavedModel, as TensorFlow takes {found[0]!r} for a "
            "pattern: choose or make a directory without it"
        )
    return text


def split_names(text: str, is_name: Callable[[str], bool]) -> list[str]:
    """Splits a list of names with commas between them, which names may have in themselves.

    Args:
      text: The list, "a, b"; the whole of it may be one name.
      is_name: Whether a text is a name that is known.

    Returns:
      The names. Where several pieces in a row make a known name, the longest one is taken; a piece
      that is in none is a name of its own. Blanks around names, and empty ones, are left out.
    """
    if text.strip() and is_name(text):
        return [text]
    pieces, names = text.split(","), []
    while pieces:
        for count in range(len(pieces), 0, -1):
            name = ",".join(pieces[:count]).strip()
            if is_name(name) or count == 1:
                break
        names.append(name)
        pieces = pieces[count:]
    return [name for name in names if name]
