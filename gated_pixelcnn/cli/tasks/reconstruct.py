"""Reconstructions of images by several autoencoders, side by side.

For every model and every image a row: the image; its one reconstruction; images drawn.
- Figure 6 of 2016b: codes of several lengths m, and the reconstruction of a decoder trained for the
  squared error.
- Figure 3 of "Auxiliary Guided Autoregressive Variational Autoencoders" (Lucas and Verbeek, 2018):
  several λ, and f(z).
"""

import dataclasses
import functools
import warnings

import numpy as np

from gated_pixelcnn import cli, visualization
from gated_pixelcnn.cli.tasks.task import FILES, Flag, Prompts, Task, path
from gated_pixelcnn.data import photos
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.capabilities import HasLatents, Reconstructs

MOST = 32  # images in one picture


@dataclasses.dataclass
class Reconstructions(Prompts):
    """Prompts that every one of several models draws from.

    Attributes:
      originals: The images, uint8 [rows, H, W, C], values 0…levels-1.
      symbol: Name of what models differ in: "m" or "lambda" (λ is not in the font).
      single_name: What the one reconstruction is called in an npz file.
      drawn_name: The same of the images that are drawn.
      models: {m or λ: model that draws}, ascending.
      single: {m or λ: the one reconstruction of every image as it is drawn, and its bytes},
        ascending.
      latents: {λ: z of each image to draw}.
    """

    originals: np.ndarray | None = None
    symbol: str = "m"
    single_name: str = "mse"
    drawn_name: str = "pixelcnn"
    models: dict = dataclasses.field(default_factory=dict)
    single: dict = dataclasses.field(default_factory=dict)
    latents: dict = dataclasses.field(default_factory=dict)
    keeps_stages = False

    def __post_init__(self):
        """Names the rows by m or λ: for each an image below the other."""
        self.sizes = sorted({*self.models, *self.single})
        self.names = [f"{self.symbol} = {size:g}" for size in self.sizes for _ in range(self.rows)]

    def requests(self, model):
        """See `Prompts`."""
        how = self.num, self.streams, self.rows, self.condition
        return [(m, Prompts(*how, stage=self.latents.get(size))) for size, m in self.models.items()]

    def cells(self, images):
        """See `Prompts`; images are those of all models, [models × num, H, W, C]."""
        drawn = self._by_size(images)
        empty = np.full_like(images[: self.num], visualization.UNDRAWN)
        blocks = []
        for size in self.sizes:
            cells = super().cells(drawn.get(size, empty))  # the image first
            if self.single:
                _, single = self.single.get(size, (None, empty[: self.rows]))
                cells = np.insert(cells, 1, single, axis=1)
            blocks.append(cells)
        return np.concatenate(blocks)

    def arrays(self, images):
        """See `Prompts`."""
        return {
            "originals": self.originals,
            **{f"{self.single_name}_{size:g}": x for size, (x, _) in self.single.items()},
            **{f"{self.drawn_name}_{size:g}": x for size, x in self._by_size(images).items()},
        }

    def _by_size(self, images):
        return dict(zip(self.models, np.split(images, len(self.models)), strict=True))


class Reconstruct(Task):
    """Draws images from the codes or the z of given ones, of the run and others beside it."""

    flags = (
        Flag(
            "reconstruct",
            f"For autoencoders: {FILES}. For every length m of a code and every image a row: the "
            "image, the reconstruction of a decoder trained for the squared error (if such a run "
            "is given by --beside), and images drawn from the code. For models with latent "
            "variables for every λ and every image: the image, f(z), and images drawn from z. "
            "--num of them are drawn by each model, 4 per image by default; of more than "
            f"{MOST} images the first are taken.",
            path,
            images=True,
        ),
        Flag(
            "beside",
            "With --reconstruct: the directory of the run of another autoencoder, with codes of "
            "another length or trained for the squared error, or with another λ "
            "(model.kl_weight). Again for another one.",
            functools.partial(path, multi=True),
        ),
    )
    conditions = ("image",)
    capabilities = (HasLatents,)
    impossible = (
        "this model is neither conditioned on an image nor has it latent variables; give an "
        "autoencoder by --workdir"
    )

    def read(self, values, model, trained):
        """See `Task`."""
        wanted = model.image_shape, model.levels, trained.reading
        originals = photos.read_images(values.reconstruct, *wanted)
        originals = _first(originals, values.num, values.reconstruct)
        rows = len(originals)
        num = values.num or 4 * rows
        turn = np.arange(num)
        kind_of = _latent_kind if isinstance(model, HasLatents) else _code_kind
        models, single = _by_size(values.beside or (), model, kind_of)
        shown = visualization.to_bytes(originals, model.levels)[:, None]
        common = {"shown": shown, "originals": originals, "models": models}
        if kind_of is _code_kind:
            for size, other in single.items():
                found = other.reconstruct(originals)
                single[size] = found, visualization.to_bytes(found, model.levels)
            return Reconstructions(num, turn, rows, originals[turn % rows], **common, single=single)
        latents = {}
        for weight, each in models.items():
            z = np.asarray(each.encode_latents(originals))
            f = np.asarray(each.show_latents(z))
            single[weight] = f, visualization.enlarged(f, each.view.levels, each.image_shape)
            latents[weight] = z[turn % rows]
        names = {"symbol": "lambda", "single_name": "f", "drawn_name": "image"}
        return Reconstructions(num, turn, rows, **common, single=single, latents=latents, **names)


def _first(images, num, name):
    """As many of the images as are drawn from and have a place in the picture."""
    wanted = images[:num]
    if len(wanted) > MOST:
        warnings.warn(
            f"only the first {MOST} of the {len(images)} images of {name} are taken: a picture has "
            "no place for more",
            stacklevel=2,
        )
    return wanted[:MOST]


def _by_size(workdirs, model, kind_of):
    """The models by m or λ, ascending: those that draw, and those that only reconstruct."""
    models, single = {kind_of(model)[1]: model}, {}
    for workdir in workdirs:
        other, _ = cli.load_beside(workdir, model)
        with cli.beside(workdir):
            draws, size, what = kind_of(other)
            kind = models if draws else single
            if size in kind:
                raise UserError(f"{what} is there already; give one run of each")
            kind[size] = other
    return dict(sorted(models.items())), dict(sorted(single.items()))


def _code_kind(model):
    """Whether an autoencoder draws; its m; and what it is, for messages."""
    if model.condition_kind == "image":
        size = model.condition_size
        return True, size, f"a PixelCNN autoencoder with a code of {size} numbers"
    if isinstance(model, Reconstructs):
        size = model.code_size
        return False, size, f"an autoencoder for the squared error with a code of {size} numbers"
    raise UserError(
        "this run is not of an autoencoder: it is neither conditioned on an image nor trained for "
        "the squared error"
    )


def _latent_kind(model):
    """The same of a model with latent variables, and its λ."""
    if not isinstance(model, HasLatents):
        raise UserError("this model has no latent variables")
    weight = getattr(model, "kl_weight", 1.0)
    return True, weight, f"a run with λ = {weight:g} (model.kl_weight)"
