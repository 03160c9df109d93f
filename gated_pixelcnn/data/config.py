"""The configuration of the data: `config.data`."""

import dataclasses
import re

from gated_pixelcnn import paths
from gated_pixelcnn.errors import UserError, nearest

SOURCE_KINDS = ("embedded", "tfds", "folder", "npz")
CHOICES = {
    "layout": ("auto", "splits", "classes", "flat"),
    "values": ("auto", "levels", "bytes"),
    "alpha": ("refuse", "drop", "white", "black"),
    "frames": ("refuse", "first", "all"),
    "resize": ("crop", "pad", "stretch"),
}
RANGES = (
    ("levels", lambda x: 2 <= x <= 65_536, "between 2 and 65536"),
    ("patch", lambda x: x >= 0, "0 (whole images) or the side in pixels"),
    (
        "validation",
        lambda x: x >= -1,
        "a number of images, or -1 for a tenth of the training images",
    ),
    ("validation_seed", lambda x: x >= 0, "0 or more"),
    (
        "held_out_classes",
        lambda x: x == 0 or x >= 2,
        "0, or 2 or more for validation and test images",
    ),
    ("memory_limit_mb", lambda x: x >= 0, "0 or more"),
)
# Of folders of image files only, and what they are unless set.
OF_FILES = {name: CHOICES[name][0] for name in ("layout", "alpha", "frames")}
DEFAULT_EMBEDDED = "fashion_mnist"


@dataclasses.dataclass(frozen=True)
class ImageRules:
    """Losses that are allowed when an image file is read.

    Attributes:
      alpha: See `DataConfig`.
      frames: See `DataConfig`.
      option: What stands before the two names where a user sets them, for messages.
    """

    alpha: str = "refuse"
    frames: str = "refuse"
    option: str = "data."


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Configuration of the images and of their preparation.

    Attributes:
      source: `embedded:<name>` (fashion_mnist, tiles32 or digits8; `embedded` alone is
        fashion_mnist), `tfds:<name>`, `folder:<directory>` or `npz:<file>`.
      layout: What the sub-folders of a folder are: "splits" (train, validation, test), "classes",
        or "flat" (nothing: all images of all sub-folders, without labels); "auto": what their names
        tell, or an error that says what to set.
      alpha: What is done to images with transparent pixels: "refuse" them, "drop" the transparency
        and take the colours below, or lay them on "white" or "black". Of image files.
      frames: What is done to files of several images (animations, pages): "refuse" them, take the
        "first" or "all".
      crop: Margins that are cut off first, in pixels: "top,bottom,left,right"; "": none.
      image_size: 0 keeps the images as they are. A number is the side of a square in pixels, and
        "48x64" a height and a width, to which images are averaged down; none is enlarged.
      resize: How images of another shape come to that size: "crop" takes the middle of them, "pad"
        takes all and makes them black at the sides (an image that is smaller, too), "stretch"
        changes the ratio of height and width.
      patch: 0 takes the images whole; of any other value a square of patch x patch pixels of each
        image: in training another one every time, at a random place, else the middle one.
      levels: Number of values a colour may take, 2..65536: a byte x becomes
        floor(x * levels / 256), so 2 is a threshold at 128. More than 256 are of npz files only.
      values: Whether the images hold "levels" already, 0..levels-1, or "bytes", 0..255; "auto":
        bytes if any image has a value of `levels` or more (images of 0 and 1 need levels=2).
      grayscale: Whether colour images become gray (ITU-R 601 luma).
      flips: Whether training images are mirrored left-right at random. Split.train_batches takes
        this as an argument; it is here so that it is part of the configuration.
      labels: Whether labels are used if the source has them.
      condition_feature: Where the vectors or maps are that a model is conditioned on. Of an npz
        file the name before _train, _val and _test; "": h. Of a folder the name of a file in it;
        "": attributes.csv, attributes.json or list_attr_celeba.txt. Of a TFDS set a feature.
      validation: Number of images held out from the training images where the source has no
        validation images of its own. -1: a tenth of them, at most 10,000. 0: none; then the
        test images, if any, serve as validation images.
      validation_seed: Seed of the choice of the images that are held out.
      held_out_classes: The last so many classes are not trained on: for embeddings of identities.
        The first half of them are the validation images, the others (one more of an odd number)
        the test images. The classes keep their numbers.
      data_dir: Directory of the TFDS data sets; empty: TFDS' default.
      download: Whether a TFDS data set that is not in `data_dir` is downloaded.
      memory_limit_mb: Images that take more than this (in 10^6 bytes, decoded) are read from
        disk while training instead of being loaded.
    """

    source: str = "embedded:fashion_mnist"
    layout: str = "auto"
    alpha: str = "refuse"
    frames: str = "refuse"
    crop: str = ""
    image_size: int | str = 0
    resize: str = "crop"
    patch: int = 0
    levels: int = 256
    values: str = "auto"
    grayscale: bool = False
    flips: bool = False
    labels: bool = True
    condition_feature: str = ""
    validation: int = -1
    validation_seed: int = 0
    held_out_classes: int = 0
    data_dir: str = ""
    download: bool = True
    memory_limit_mb: int = 1500

    def __post_init__(self):
        """Checks the type and the range of every field; raises UserError."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            kinds = getattr(field.type, "__args__", (field.type,))
            if type(value) not in kinds:
                raise UserError(
                    f"data.{field.name} must be of type {' or '.join(x.__name__ for x in kinds)}, "
                    f"but is {value!r} of type {type(value).__name__}"
                )
        for name, choices in CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                raise UserError(f"data.{name} is {value!r}{nearest(value, choices)}")
        for name, is_right, wanted in RANGES:
            if not is_right(value := getattr(self, name)):
                raise UserError(f"data.{name} must be {wanted}, but is {value}")
        self.margins()
        self.parsed_source()
        if not self.size and self.resize != "crop":
            raise UserError(f"data.resize={self.resize} needs data.image_size")
        if self.levels > 256:
            self._check_no_bytes(f"data.levels={self.levels}")
            if not self.source.startswith("npz:"):
                raise UserError(
                    f"data.levels={self.levels}: more than 256 values come from npz files, but "
                    f"data.source is {self.source!r}"
                )

    def of_codes(self) -> "DataConfig":
        """The same for values that have no order: they are levels, and nothing averages them.

        Raises:
          UserError: another setting of this configuration.
        """
        self._check_no_bytes("model.values=categorical")
        return dataclasses.replace(self, values="levels")

    def _check_no_bytes(self, why):
        """Raises a UserError for settings that take values for brightness."""
        for name, none in (("image_size", 0), ("grayscale", False)):
            if (value := getattr(self, name)) not in (none, str(none)):
                raise UserError(f"{why} and data.{name}={value} exclude each other: it is of bytes")
        if self.values == "bytes":
            raise UserError(f"{why} and data.values=bytes exclude each other")

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of `image_size`; None where images stay as they are."""
        words = str(self.image_size).lower().split("x")
        if len(words) > 2 or not all(re.fullmatch("[0-9]{1,6}", word) for word in words):
            raise UserError(
                "data.image_size must be 0 (as they are), a side in pixels, or height x width such "
                f"as 48x64, but is {self.image_size!r}"
            )
        height, width = int(words[0]), int(words[-1])
        if (height == 0) != (width == 0):
            raise UserError(f"data.image_size={self.image_size} has a side of no pixels")
        return (height, width) if height else None

    def image_rules(self) -> ImageRules:
        """Returns the losses that are allowed when an image file is read."""
        return ImageRules(self.alpha, self.frames)

    def margins(self) -> tuple[int, int, int, int]:
        """Returns the margins of `crop`: top, bottom, left and right, in pixels."""
        if not self.crop:
            return 0, 0, 0, 0
        words = [word.strip() for word in self.crop.split(",")]
        if len(words) != 4 or not all(re.fullmatch("[0-9]{1,6}", word) for word in words):
            raise UserError(
                "data.crop must be four margins in pixels, top,bottom,left,right, such as "
                f"50,40,25,25, but is {self.crop!r}"
            )
        return tuple(map(int, words))

    def parsed_source(self) -> tuple[str, str]:
        """Returns the kind of the source and its name, directory or file."""
        kind, _, address = self.source.partition(":")
        if kind == "embedded":
            address = address or DEFAULT_EMBEDDED
        if kind not in SOURCE_KINDS:
            raise UserError(
                f"data.source must be embedded:<name>, tfds:<name>, folder:<directory> or "
                f"npz:<file>, but is {self.source!r}{nearest(kind, SOURCE_KINDS)}"
            )
        if not address:
            what = {"tfds": "a data set name", "folder": "a directory", "npz": "a file"}[kind]
            raise UserError(f"data.source={self.source!r} needs {what} after '{kind}:'")
        return kind, paths.local(address) if kind in ("folder", "npz") else address
