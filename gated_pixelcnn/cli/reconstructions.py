"""What autoencoders make of images, side by side: figure 6 of 2016b.

For every length m of a code and every image a row: the image; what a decoder trained for the
squared error makes of its code; images that a PixelCNN draws from it.
"""

import dataclasses
import warnings

import numpy as np

from gated_pixelcnn import cli, photos, pictures
from gated_pixelcnn.cli.prompts import Prompts, resizing
from gated_pixelcnn.errors import UserError

MOST = 32  # images in one picture


@dataclasses.dataclass
class Reconstructions(Prompts):
    """Prompts that every one of several models draws from.

    Attributes:
      originals: the images, uint8 [rows, H, W, C], values 0…levels-1.
      levels: number of values.
      models: {m: PixelCNN autoencoder}, m ascending.
      single: {m: the one reconstruction of every image, as originals}, m ascending.
    """

    originals: np.ndarray | None = None
    levels: int = 256
    models: dict = dataclasses.field(default_factory=dict)
    single: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        """Names the rows by m: for each an image below the other."""
        self.sizes = sorted({*self.models, *self.single})
        self.names = [f"m = {size}" for size in self.sizes for _ in range(self.rows)]

    def cells(self, images):
        """See `Prompts`; images are those of all models, [models × num, H, W, C]."""
        drawn = self._by_size(images)
        empty = np.full_like(images[: self.num], pictures.UNDRAWN)
        shown = pictures.to_bytes(self.originals, self.levels)
        blocks = []
        for size in self.sizes:
            columns = [shown[:, None], super().cells(drawn.get(size, empty))]
            if self.single:
                single = empty[: self.rows]
                if size in self.single:
                    single = pictures.to_bytes(self.single[size], self.levels)
                columns.insert(1, single[:, None])
            blocks.append(np.concatenate(columns, axis=1))
        return np.concatenate(blocks)

    def arrays(self, images):
        """See `Prompts`."""
        return {
            "originals": self.originals,
            **{f"mse_{size}": single for size, single in self.single.items()},
            **{f"pixelcnn_{size}": drawn for size, drawn in self._by_size(images).items()},
        }

    def _by_size(self, images):
        return dict(zip(self.models, np.split(images, len(self.models)), strict=True))


def reconstructions(flags, model):
    """Reads what the flags of sample.py ask for.

    Args:
      flags: values of the flags num, reconstruct, beside, and of those that exclude them: label,
        like, interpolate, given, colourise and upscale; resize.
      model: the model of --workdir or --saved_model.

    Returns:
      Reconstructions.

    Raises:
      UserError: a run or an image that is missing, cannot be read, or does not fit.
    """
    for name in ("label", "like", "interpolate", "given", "colourise", "upscale"):
        if getattr(flags, name):
            raise UserError(f"--reconstruct names what to draw from itself: leave out --{name}")
    if model.condition_kind != "image":
        raise UserError(
            "--reconstruct is not possible: this model is not conditioned on an image; give an "
            "autoencoder by --workdir"
        )
    models, single = _runs(flags.beside or (), model)
    originals = photos.read_images(
        flags.reconstruct, model.image_shape, model.levels, resizing(flags)
    )
    originals = _first(originals, flags.num, flags.reconstruct)
    rows = len(originals)
    num = flags.num or 4 * rows
    turn = np.arange(num)
    return Reconstructions(
        num,
        originals[turn % rows],
        turn,
        rows,
        originals=originals,
        levels=model.levels,
        models=models,
        single={size: other.reconstruct(originals) for size, other in single.items()},
    )


def _first(images, num, path):
    """As many of the images as are drawn from and have a place in the picture."""
    wanted = images[:num]
    if len(wanted) > MOST:
        warnings.warn(
            f"only the first {MOST} of the {len(images)} images of {path} are taken: a picture has "
            "no place for more",
            stacklevel=2,
        )
    return wanted[:MOST]


def _runs(workdirs, model):
    """The models by m, ascending: those that draw, and those trained for the squared error."""
    models, single = {model.condition_size: model}, {}
    for workdir in workdirs:
        other, _ = cli.load_beside(workdir, model)
        if other.condition_kind == "image":
            kind, size, what = models, other.condition_size, "a PixelCNN autoencoder"
        elif hasattr(other, "reconstruct"):
            kind, size, what = single, other.code_size, "an autoencoder for the squared error"
        else:
            raise UserError(
                f"--beside={workdir}: this run is not of an autoencoder: it is neither conditioned "
                "on an image nor trained for the squared error"
            )
        if size in kind:
            raise UserError(
                f"--beside={workdir}: {what} with a code of {size} numbers is there already; give "
                "one run of each kind and length"
            )
        kind[size] = other
    return dict(sorted(models.items())), dict(sorted(single.items()))
