"""Vectors, tags and maps that come with the images of a source: conditions beside labels.

A vector is of any numbers; tags are a vector of zeros and ones, an entry for each; maps have the
size of the image. They are float32 [N, D] or [N, H, W, D]; the entries may have names.
"""

import csv
import json
import os
import pathlib

import numpy as np

from gated_pixelcnn.errors import UserError, nearest
from gated_pixelcnn.names import natural

KINDS = {"vector": "vectors [N, D]", "spatial": "maps [N, H, W, D]"}
MAX_SIZE = 65_536
FILES = ("attributes.csv", "attributes.json", "list_attr_celeba.txt")  # looked for in a folder


def checked(values: np.ndarray, kind: str, what: str, num: int | None = None) -> np.ndarray:
    """Returns conditions as float32, or raises a UserError that says what is wrong.

    Args:
      values: Those of all images.
      kind: "vector" or "spatial".
      what: What they are, for messages.
      num: Number of images; None if it does not matter.
    """
    if values.ndim != (2 if kind == "vector" else 4) or values.dtype.kind not in "buif":
        raise UserError(
            f"{what} has shape {values.shape} and type {values.dtype}; for model.condition={kind} "
            f"there must be numbers, {KINDS[kind]}"
        )
    if not 1 <= values.shape[-1] <= MAX_SIZE:
        raise UserError(
            f"{what} has {values.shape[-1]} entries for each image; there may be 1 to {MAX_SIZE}"
        )
    if num is not None and len(values) != num:
        raise UserError(f"{what} has {len(values)} entries, but there are {num} images")
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    finite = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    if not finite.all():
        raise UserError(
            f"{what} has values that are not finite (NaN, infinite or beyond float32), the first "
            f"of image {np.flatnonzero(~finite)[0]} (counted from 0), of {np.sum(~finite)} images"
        )
    return values


def check_names(names, size: int, what: str) -> tuple[str, ...]:
    """Returns names of the entries of conditions, all different, or raises a UserError."""
    names = tuple(n.decode(errors="replace") if isinstance(n, bytes) else str(n) for n in names)
    wrong = sorted({name for name in names if names.count(name) > 1 or not name.strip()})
    if len(names) != size or wrong:
        why = f"{wrong[0]!r} is there {names.count(wrong[0])} times" if wrong else "it has not"
        raise UserError(f"{what} must be {size} different names, one for each entry: {why}")
    return names


class Table:
    """Attributes of image files: a vector for each, from columns of numbers, names or tags.

    A column that has nothing but numbers for the training images is an entry of its own. Of any
    other column every name in it is an entry, 1 where the image has it; a cell may have several
    names with semicolons between them, or none.

    Attributes:
      path: The file; name: without its directory.
      names: Names of the entries.
    """

    def __init__(self, path: str, train: list[pathlib.PurePath], known: tuple[str, ...] = ()):
        """Reads a file.

        Args:
          path: attributes.csv (a line of titles; the first column names the files), JSON (file →
            names, or file → {title: number or names}), or CelebA's list_attr_celeba.txt.
          train: The training images, whose cells tell which entries there are.
          known: The names of the entries of images that these go with: there are no others.

        Raises:
          UserError: The file cannot be read, or lacks an image.
        """
        self.path, self.name, self._found = path, os.path.basename(path), {}
        self._rows, self._titles = _read(path)
        if not self._titles:
            raise UserError(f"{path} has no column beside that of the files")
        rows = [self._row(file) for file in train]
        columns = {title: [row[i] for row in rows] for i, title in enumerate(self._titles)}
        names = known or _entries(columns)
        self.names = check_names(names, len(names), f"the entries of {path}")
        # Of names, a column may be called like one of them.
        self._numbers = {x for x in self.names if x in columns and not _is_of_names(columns[x])}
        self._entry_of = {name: entry for entry, name in enumerate(self.names)}

    def vectors(self, files: list[pathlib.PurePath]) -> np.ndarray:
        """Returns the vectors of files, float32 [N, D]; a UserError for what they do not have."""
        result = np.zeros((len(files), len(self.names)), np.float32)
        for vector, file in zip(result, files, strict=True):
            for title, cell in zip(self._titles, self._row(file), strict=True):
                where = f"{title!r} of {file} in {self.path}"
                if title in self._numbers:
                    vector[self._entry_of[title]] = _finite(cell, where)
                    continue
                for name in _names(cell):
                    full = f"{title}={name}"
                    if (found := full if full in self._entry_of else name) not in self._entry_of:
                        raise UserError(
                            f"{where} is {name!r}, which no training image has"
                            f"{nearest(name, self.names)}"
                        )
                    vector[self._entry_of[found]] = 1
        return result

    def _row(self, file):
        if (name := file.as_posix()) in self._rows:
            return self._rows[name]
        if file.name in self._rows:
            if (other := self._found.setdefault(file.name, file)) != file:
                raise UserError(
                    f"{self.path} has one line for {file.name}, but {other} and {file} are called "
                    "so: write their paths"
                )
            return self._rows[file.name]
        raise UserError(f"{self.path} has no line for {file}, which is among the images")


def table_of(
    directory: str, feature: str, train: list[pathlib.PurePath], known: tuple[str, ...] = ()
) -> Table:
    """Finds and reads the attributes of a folder of images.

    Args:
      directory: The folder.
      feature: Name of the file in it; "": the first of FILES that is there.
      train: Its training images.
      known: See `Table`.
    """
    names = [feature] if feature else FILES
    found = [name for name in names if os.path.isfile(os.path.join(directory, name))]
    if not found:
        raise UserError(
            f"{directory} has no {' or '.join(names)} with the vectors of its images; name the "
            "file by data.condition_feature"
        )
    return Table(os.path.join(directory, found[0]), train, known)


def _is_of_names(column):
    """Whether a cell of a column holds something that is no number."""
    return any(str(cell).strip() and not isinstance(_number(cell), float) for cell in column)


def _entries(columns):
    """The names of the entries of columns: the titles of those of numbers, the names in others."""
    names = {}
    for title, column in columns.items():
        found = {name for cell in column for name in _names(cell)}
        of_numbers = found and not _is_of_names(column)
        names[title] = None if of_numbers else sorted(found, key=natural)
    short = [x for title, found in names.items() for x in ([title] if found is None else found)]
    if len(set(short)) == len(short):
        return short
    return [  # two columns share a name, as in red hair and red eyes
        full
        for title, found in names.items()
        for full in ([title] if found is None else [f"{title}={name}" for name in found])
    ]


def _finite(cell, where):
    """The number in a cell, or a UserError."""
    number = _number(cell)
    with np.errstate(over="ignore"):
        if isinstance(number, float) and np.isfinite(np.float32(number)):
            return number
    what = repr(cell) if str(cell).strip() else "missing"
    raise UserError(f"{where} must be a finite number, but is {what}")


def _number(cell):
    """A cell as a float, or as it is."""
    try:
        return float(cell)
    except (TypeError, ValueError):
        return cell


def _names(cell):
    """The names in a cell, in order."""
    words = cell if isinstance(cell, list) else str(cell).split(";")
    return [word.strip() for word in map(str, words) if word.strip()]


def _read(path):
    """Reads a file of attributes: {name of a file: cells}, titles of the columns."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            if path.lower().endswith(".json"):
                return _of_json(json.load(file), path)
            if path.lower().endswith(".txt"):
                return _of_celeba(file.read().splitlines(), path)
            return _of_csv(list(csv.reader(file)), path)
    except (OSError, ValueError, IndexError, csv.Error, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error})") from error


def _of_csv(lines, path):
    lines = [line for line in lines if any(cell.strip() for cell in line)]
    if not lines:
        raise UserError(f"{path} is empty; its first line must be the titles of the columns")
    (_, *titles), *rows = lines
    for number, row in enumerate(rows, 2):
        if len(row) != len(titles) + 1:
            raise UserError(
                f"line {number} of {path} has {len(row)} columns, but there are "
                f"{len(titles) + 1} titles"
            )
    return _by_file(rows, path), [title.strip() for title in titles]


def _of_celeba(lines, path):
    """A line with the number of images, one with the titles, then: file, 1 or -1 for each."""
    titles, rows = lines[1].split(), [line.split() for line in lines[2:] if line.strip()]
    for number, row in enumerate(rows, 3):
        if len(row) != len(titles) + 1 or not set(row[1:]) <= {"1", "-1"}:
            raise UserError(f"line {number} of {path} must be a file and {len(titles)} of 1 and -1")
    rows = [[file, *(str(int(cell == "1")) for cell in cells)] for file, *cells in rows]
    return _by_file(rows, path), titles


def _of_json(found, path):
    """{file: list of names} or {file: {title: number or names}}."""
    if not isinstance(found, dict) or not all(isinstance(x, (list, dict)) for x in found.values()):
        raise UserError(f"{path} must be file → list of names, or file → {{title: value}}")
    titles = list(dict.fromkeys(key for x in found.values() if isinstance(x, dict) for key in x))
    rows = {}
    for file, cells in found.items():
        if isinstance(cells, list) != (not titles):
            raise UserError(f"{path} must have a list for every file, or {{title: value}} for all")
        rows[file] = [cells.get(title, "") for title in titles] if titles else [cells]
    return rows, titles or ["tags"]


def _by_file(rows, path):
    result = {}
    for file, *cells in rows:
        if file.strip() in result:
            raise UserError(f"{path} has two lines for {file.strip()}")
        result[file.strip()] = cells
    return result
