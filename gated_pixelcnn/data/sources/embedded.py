"""Source `embedded:<name>`: small data sets that come with the package."""

import pathlib

from gated_pixelcnn.data.sources import npz
from gated_pixelcnn.errors import UserError, nearest

DIRECTORY = pathlib.Path(__file__).parent.parent / "embedded"


def load(name, config, condition=None, like=None):
    """Loads an embedded data set; see data.load."""
    return npz.load(_path(name), config, condition, like)


def describe(name, config, condition=None):
    """Describes an embedded data set; see data.describe."""
    return npz.describe(_path(name), config, condition)


def names() -> list[str]:
    """Returns the names of the embedded data sets."""
    return sorted(path.stem for path in DIRECTORY.glob("*.npz"))


def _path(name):
    if name not in names():
        raise UserError(f"there is no embedded data set {name!r}{nearest(name, names())}")
    return str(DIRECTORY / f"{name}.npz")
