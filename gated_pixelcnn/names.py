"""Names as people and file systems write them: their order, and which of them are the same."""

import re
import unicodedata
from collections.abc import Iterable, Sequence


def natural(name: str):
    """Sorts names with numbers in them by the numbers: 1, 2, 10."""
    parts = re.split("([0-9]+)", name)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def alike(name: str, known: Sequence[str]) -> list[int]:
    """Returns the indices of what is called so; if nothing is, but for case and accents' form."""
    exact = [index for index, other in enumerate(known) if other == name]
    return exact or [index for index, other in enumerate(known) if folded(other) == folded(name)]


def matching(name: str, known: Iterable[str]) -> str | None:
    """Returns the known class of this name, see `alike`; None if there is none, or several."""
    known = list(dict.fromkeys(known))
    found = alike(name, known)
    return known[found[0]] if len(found) == 1 else None


def find_name(name: str, names: Sequence[str]) -> int | None:
    """Returns the index of a name, see `alike`; None if there is none.

    Raises:
      ValueError: several are called so.
    """
    found = alike(name, names)
    if len(found) > 1:
        raise ValueError(f"{len(found)} classes are called {name!r}: give the label, a number")
    return found[0] if found else None


def folded(name: str) -> str:
    """The name without what case and the forms of accents make of it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
