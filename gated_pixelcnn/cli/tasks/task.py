"""Tasks of sample.py: each declares its flags, what goes with them and what it requires."""

import abc
import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
from absl import flags

from gated_pixelcnn import cli, visualization
from gated_pixelcnn.data import photos
from gated_pixelcnn.errors import UserError

flags.disclaim_key_flags()  # they are sample.py's
FILES = "an image file, a directory, or an npz file with an array images"


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag: its name, the text of --help, its default, and how absl defines it.

    A number that is less than `least` is refused, and a file whose name does not end in `ending`.
    `images` tells whether it names images, for which there is --resize.
    """

    name: str
    help: str
    default: object = None
    define: Callable = flags.DEFINE_string
    images: bool = False
    least: int | None = None
    ending: str = ""

    def define_in(self, values):
        """Defines it in FlagValues."""
        self.define(self.name, self.default, help=self.help, flag_values=values)

    def given(self, values):
        """Returns whether it is given, and not empty."""
        return values[self.name].value not in (None, "", self.default)

    def check(self, values):
        """Raises a UserError for a value that is refused."""
        value = values[self.name].value
        if self.least is not None:
            cli.check_at_least(self.least, **{self.name: value})
        if value and self.ending and not value.lower().endswith(self.ending):
            raise UserError(f"--{self.name} must end in {self.ending}, got {value}")


def _define_path(name, default, help, flag_values, multi=False):
    cli.define_path(name, help, flag_values, multi)


IntegerFlag = functools.partial(Flag, define=flags.DEFINE_integer)
PathFlag = functools.partial(Flag, define=_define_path)
PathsFlag = functools.partial(Flag, define=functools.partial(_define_path, multi=True))
ImagesFlag = functools.partial(PathFlag, images=True)


def look_of(values, model):
    """How the values of a model's images are shown, see `visualization.look`."""
    tiles = visualization.tiles_of(values.tiles, model.levels) if values.tiles else None
    return visualization.look(model.image_spec, tiles)


@dataclasses.dataclass(frozen=True)
class Trained:
    """Names of a run's classes and entries, empty classes by label, and how images are read."""

    class_names: tuple = ()
    condition_names: tuple = ()
    empty_classes: tuple = ()
    reading: photos.Reading = photos.Reading()

    @classmethod
    def of(cls, record, values):
        """Reads config.json of a run and the flags that go before it."""
        reading = photos.Reading.of(record, values, print if values.resize else None)
        names = record["class_names"], record["condition_names"]
        return cls(*names, record["data"].get("empty_classes", ()), reading)

    def images(self, path, model):
        """Reads the images of a file for a model, see `photos.read_images`."""
        return photos.read_images(path, model.image_shape, model.levels, self.reading)


@dataclasses.dataclass
class Prompts:
    """Sources that a number of images is drawn from.

    Prompts are taken in turn: with 3 of them image i is drawn from prompt i mod 3, and every prompt
    has a row of the grid.

    Attributes:
      num: Number of images.
      example_seeds: Example seed of each image [num].
      rows: Number of rows of the grid, one for every label of every image; None for a grid that is
        about square.
      condition: The condition of each image, or None.
      saved: The condition by its name in an npz file, if that is not an image.
      names: Text beside the rows, or None.
      shown: Images at the left of the rows, bytes [rows, columns, H, W, C], or None.
      given: Images to complete, one for each image, or None.
      known: Booleans [H, W, 1]: where they are kept.
      stage: Gray or small images or z that the images are drawn from, one for each, or None.
    """

    num: int
    example_seeds: np.ndarray
    rows: int | None = None
    condition: np.ndarray | None = None
    saved: dict = dataclasses.field(default_factory=dict)
    names: list | None = None
    shown: np.ndarray | None = None
    given: np.ndarray | None = None
    known: np.ndarray | None = None
    stage: np.ndarray | None = None
    keeps_stages = True  # whether stages that are drawn before the images are saved, too

    def first(self, num):
        """The first of the images only: all, or those that were drawn until Ctrl-C."""
        saved = {name: array[:num] for name, array in self.saved.items()}
        return dataclasses.replace(self, num=num, saved=saved)

    def requests(self, model):
        """Returns the models that draw and what each of them draws from."""
        return [(model, self)]

    def arguments(self, part):
        """Returns the arguments of `sample_stages` for the images of these indices."""
        each = {
            name: getattr(self, name) for name in ("example_seeds", "condition", "given", "stage")
        }
        each = {name: array[part] for name, array in each.items() if array is not None}
        return each if self.known is None else each | {"known": self.known}

    def cells(self, images):
        """Cells of the grid [rows, columns, H, W, C] for images [num, H, W, C], all of them bytes.

        Every prompt has a row: `shown` at the left, then the images; gray where there are none.
        """
        columns = math.ceil(self.num / self.rows)
        cells = np.full((columns * self.rows, *images.shape[1:]), visualization.UNDRAWN, np.uint8)
        cells[: self.num] = images
        cells = cells.reshape(columns, self.rows, *images.shape[1:]).swapaxes(0, 1)
        return cells if self.shown is None else np.concatenate([self.shown, cells], axis=1)

    def arrays(self, images):
        """The arrays of an npz file of the images that were drawn, by name."""
        return {"images": images} | self.saved


class Task(abc.ABC):
    """A way of drawing images that sample.py offers.

    Attributes:
      flags: Its flags; the first one chooses the task, the others need it.
      takes: Names of flags of other tasks that go with it; all others are refused.
      conditions: Kinds of condition that a model may have, of which one
      capabilities: or one of these, see `models.capabilities`, is required.
      impossible: Why it is not possible for other models.
      not_exported: Why an exported model cannot do it, or "" if it can.
      whole: Whether all submodels must have been trained.
    """

    flags: tuple = ()
    takes: tuple = ()
    conditions: tuple = ()
    capabilities: tuple = ()
    impossible = ""
    not_exported = ""
    whole = True

    @property
    def name(self):
        """Name of the flag that chooses it."""
        return self.flags[0].name

    def prompts(self, values, model, trained):
        """Reads the Prompts that the flags name; a UserError says why a model cannot use them."""
        if not self._possible(model):
            raise UserError(f"--{self.name} is not possible: {self.impossible}")
        return self._read(values, model, trained)

    def _possible(self, model):
        return model.condition_kind in self.conditions or isinstance(model, self.capabilities)

    @abc.abstractmethod
    def _read(self, values, model, trained):
        """See `prompts`; the model was checked."""
