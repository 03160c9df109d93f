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
    finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
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

    def __init__(self, path: str, train: list[pathlib.PurePath]):
        """Reads a file.

        Args:
          path: attributes.csv (a line of titles; the first column names the files), JSON (file →
            names, or file → {title: number or names}), or CelebA's list_attr_celeba.txt.
          train: The training images, whose cells tell which entries there are.

        Raises:
          UserError: The file cannot be read, or lacks an image.
        """
        self.path, self.name, self._found = path, os.path.basename(path), {}
        self._rows, titles = _read(path)
        cells = [self._row(file) for file in train]
        self._columns = []  # (title, None or {name: entry})
        names = []
        for number, title in enumerate(titles):
            column = [row[number] for row in cells]
            there = [cell for cell in column if str(cell).strip()]
            if there and all(isinstance(_number(cell), float) for cell in there):
                self._columns.append((title, None))
                names.append(title)
                continue
            found = sorted({name for cell in column for name in _names(cell)}, key=natural)
            self._columns.append((title, {name: len(names) + i for i, name in enumerate(found)}))
            names += found
        if len(set(names)) < len(names):  # two columns have the same name: red hair, red eyes
            names = [
                name
                for title, found in self._columns
                for name in ([title] if found is None else [f"{title}={name}" for name in found])
            ]
        self.names = check_names(names, len(names), f"the entries of {path}")
        if not names:
            raise UserError(f"{path} has no column beside that of the files")

    def vectors(self, files: list[pathlib.PurePath]) -> np.ndarray:
        """Returns the vectors of files, float32 [N, D]; a UserError for what they do not have."""
        result = np.zeros((len(files), len(self.names)), np.float32)
        for vector, file in zip(result, files, strict=True):
            entry = 0
            for (title, found), cell in zip(self._columns, self._row(file), strict=True):
                where = f"{title!r} of {file} in {self.path}"
                if found is None:
                    number = _number(cell)
                    if not isinstance(number, float) or not np.isfinite(np.float32(number)):
                        what = repr(cell) if str(cell).strip() else "missing"
                        raise UserError(f"{where} must be a finite number, but is {what}")
                    vector[entry] = number
                    entry += 1
                    continue
                for name in _names(cell):
                    if name not in found:
                        raise UserError(
                            f"{where} is {name!r}, which no training image has"
                            f"{nearest(name, found)}"
                        )
                    vector[found[name]] = 1
                entry += len(found)
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


def table_of(directory: str, feature: str, train: list[pathlib.PurePath]) -> Table:
    """Finds and reads the attributes of a folder of images.

    Args:
      directory: The folder.
      feature: Name of the file in it; "": the first of FILES that is there.
      train: Its training images.
    """
    names = [feature] if feature else FILES
    found = [name for name in names if os.path.isfile(os.path.join(directory, name))]
    if not found:
        raise UserError(
            f"{directory} has no {' or '.join(names)} with the vectors of its images; name the "
            "file by data.condition_feature"
        )
    return Table(os.path.join(directory, found[0]), train)


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
