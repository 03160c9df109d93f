"""Reconstructions of images by several autoencoders, side by side.

For every model and every image a row: the image; its one reconstruction; images drawn.
- Figure 6 of 2016b: codes of several lengths m, and the reconstruction of a decoder trained for the
  squared error.
- Figure 3 of "Auxiliary Guided Autoregressive Variational Autoencoders" (Lucas and Verbeek, 2018):
  several λ, and f(z).
"""

import dataclasses
import warnings

import numpy as np

from gated_pixelcnn import cli, visualization
from gated_pixelcnn.cli.tasks.task import FILES, ImagesFlag, PathsFlag, Prompts, Task
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.capabilities import HasCodes, HasLatents, Reconstructs, tokenizer_of

MOST = 32  # images in one picture
CODES = ("m", "mse", "pixelcnn")  # `words` of autoencoders


@dataclasses.dataclass
class Block:
    """Rows for one m or λ."""

    model: object = None  # that draws
    stage: np.ndarray | None = None  # z of each image that it draws, if not from the condition
    single: tuple | None = None  # one reconstruction of every image, and its bytes


@dataclasses.dataclass
class Reconstructions(Prompts):
    """Prompts that every one of several models draws from.

    Attributes:
      originals: The images, uint8 [rows, H, W, C], values 0…levels-1.
      words: What models differ in (λ is not in the font), and the names of single reconstructions
        and of images in an npz file.
      blocks: {m or λ: Block}, ascending.
    """

    originals: np.ndarray | None = None
    words: tuple = CODES
    blocks: dict = dataclasses.field(default_factory=dict)
    keeps_stages = False

    def __post_init__(self):
        """Names the rows by m or λ: for each an image below the other."""
        self.names = [f"{self.words[0]} = {size:g}" for size in self.blocks for _ in self.originals]

    def requests(self, model):
        """See `Prompts`."""
        how = self.num, self.example_seeds, self.rows, self.condition
        blocks = [block for block in self.blocks.values() if block.model is not None]
        return [(block.model, Prompts(*how, stage=block.stage)) for block in blocks]

    def cells(self, images):
        """See `Prompts`; images are those of all models, [models × num, H, W, C]."""
        drawn, found = self._by_size(images), []
        # One for every row at least: after Ctrl-C there can be fewer images than that.
        number = max(self.num, self.rows)
        empty = np.full((number, *images.shape[1:]), visualization.UNDRAWN, np.uint8)
        singles = any(block.single for block in self.blocks.values())
        for size, block in self.blocks.items():
            cells = super().cells(drawn.get(size, empty[: self.num]))  # the original first
            if singles:
                single = block.single[1] if block.single else empty[: self.rows]
                cells = np.insert(cells, 1, single, axis=1)
            found.append(cells)
        return np.concatenate(found)

    def arrays(self, images):
        """See `Prompts`."""
        _, single, drawn = self.words
        singles = {size: block.single[0] for size, block in self.blocks.items() if block.single}
        return {
            "originals": self.originals,
            **{f"{single}_{size:g}": array for size, array in singles.items()},
            **{f"{drawn}_{size:g}": array for size, array in self._by_size(images).items()},
        }

    def _by_size(self, images):
        sizes = [size for size, block in self.blocks.items() if block.model is not None]
        return dict(zip(sizes, np.split(images, len(sizes)), strict=True))


class Reconstruct(Task):
    """Draws images from the codes or the z of given ones, of the run and others beside it."""

    flags = (
        ImagesFlag(
            "reconstruct",
            f"For autoencoders: {FILES}. For every length m of a code and every image a row: the "
            "image, the reconstruction of a decoder trained for the squared error (if such a run "
            "is given by --beside), and images drawn from the code. For models with latent "
            "variables for every λ and every image: the image, f(z), and images drawn from z. For "
            "a VQ-VAE the most probable image given its codes, and images drawn given them. "
            "--num of them are drawn by each model, 4 per image by default; of more than "
            f"{MOST} images the first are taken.",
        ),
        PathsFlag(
            "beside",
            "With --reconstruct: the directory of the run of another autoencoder, with codes of "
            "another length or trained for the squared error, or with another λ "
            "(model.kl_weight). Again for another one.",
        ),
    )
    conditions = ("image",)
    capabilities = (HasLatents, HasCodes)
    impossible = (
        "this model is neither conditioned on an image nor has it latent variables or codes; give "
        "an autoencoder by --workdir"
    )

    def _read(self, values, model, trained):
        originals = trained.images(values.reconstruct, model)
        originals = _first(originals, values.num, values.reconstruct)
        rows = len(originals)
        num = values.num or 4 * rows
        turn = np.arange(num)
        add, words = next(
            (found for kind, *found in KINDS if isinstance(model, kind)), (_add_codes, CODES)
        )
        blocks = {}
        add(blocks, model, originals, turn)
        for workdir in values.beside or ():
            other, _ = cli.load_beside(workdir, model)
            with cli.beside(workdir):
                add(blocks, other, originals, turn)
        return Reconstructions(
            num,
            turn,
            rows,
            condition=originals[turn % rows] if words is CODES else None,
            shown=visualization.to_bytes(originals, model.levels)[:, None],
            originals=originals,
            words=words,
            blocks=dict(sorted(blocks.items())),
        )


def _first(images, num, name):
    """As many of the images as are drawn from and have a place in the picture."""
    if len(images[:num]) > MOST:
        warnings.warn(
            f"only the first {MOST} of the {len(images)} images of {name} are taken: a picture has "
            "no place for more",
            stacklevel=2,
        )
    return images[:num][:MOST]


def _add_codes(blocks, model, originals, turn):
    """Adds an autoencoder to {m: Block}."""
    if model.condition_kind == "image":
        size, what, field, value = model.condition_size, "a PixelCNN autoencoder", "model", model
    elif isinstance(model, Reconstructs):
        size, what = model.code_size, "an autoencoder for the squared error"
        found = model.reconstruct(originals)
        field, value = "single", (found, visualization.to_bytes(found, model.levels))
    else:
        raise UserError(
            "this run is not of an autoencoder: it is neither conditioned on an image nor trained "
            "for the squared error"
        )
    block = blocks.setdefault(size, Block())
    if getattr(block, field) is not None:
        raise UserError(
            f"{what} with a code of {size} numbers is there already; give one run of each kind and "
            "length"
        )
    setattr(block, field, value)


def _add_latents(blocks, model, originals, turn):
    """Adds a model with latent variables to {λ: Block}."""
    if not isinstance(model, HasLatents):
        raise UserError("this model has no latent variables")
    weight = getattr(model, "kl_weight", 1.0)
    if weight in blocks:
        raise UserError(
            f"a run with λ = {weight:g} (model.kl_weight) is there already; give one run of each"
        )
    z = np.asarray(model.encode_latents(originals))
    f = np.asarray(model.show_latents(z))
    shown = visualization.enlarged(f, model.view.levels, model.image_shape)
    blocks[weight] = Block(model, z[turn % len(z)], (f, shown))


def _add_discrete(blocks, model, originals, turn):
    """Adds a model with a codebook to {K: Block}."""
    if not isinstance(model, HasCodes):
        raise UserError("this model has no codebook")
    if model.codes in blocks:
        raise UserError(
            f"a run with {model.codes} codes (model.codes) is there already; give one run of each"
        )
    codes = np.asarray(model.encode(originals))
    found = np.asarray(model.decode(codes))
    single = found, visualization.to_bytes(found, model.levels)
    # Given codes, nothing depends on what a prior of them is conditioned on.
    blocks[model.codes] = Block(tokenizer_of(model), codes[turn % len(codes)], single)


# Of other models than autoencoders: what they can do, how a Block is made, and the `words`.
KINDS = (
    (HasLatents, _add_latents, ("lambda", "f", "image")),
    (HasCodes, _add_discrete, ("K", "decoded", "image")),
)
