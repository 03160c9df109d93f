"""Names as people and file systems write them: their order, and which of them are the same."""

import re
import unicodedata
from collections.abc import Iterable


def natural(name: str):
    """Sorts names with numbers in them by the numbers: 1, 2, 10."""
    parts = re.split("([0-9]+)", name)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def matching(name: str, known: Iterable[str]) -> str | None:
    """Returns the known class of this name, or the only one that differs in case or accents' form.

    None if there is no such class, or several.
    """
    known = list(known)
    if name in known:
        return name
    alike = [other for other in known if folded(other) == folded(name)]
    return alike[0] if len(alike) == 1 else None


def folded(name: str) -> str:
    """The name without what case and the forms of accents make of it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
