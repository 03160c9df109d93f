"""What autoencoders make of images, side by side.

For every model and every image a row: the image; what can be told of it at once; images drawn.
- Figure 6 of 2016b: codes of several lengths m, and what a decoder trained for the squared error
  makes of the code.
- Figure 3 of "Auxiliary Guided Autoregressive Variational Autoencoders" (Lucas and Verbeek, 2018):
  several λ, and f(z).
"""

import dataclasses
import warnings

import numpy as np

from gated_pixelcnn import cli, visualization
from gated_pixelcnn.cli.tasks.draw import Prompts, resizing
from gated_pixelcnn.data import photos
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.capabilities import HasLatents, Reconstructs

MOST = 32  # images in one picture


@dataclasses.dataclass
class Reconstructions(Prompts):
    """Prompts that every one of several models draws from.

    Attributes:
      originals: the images, uint8 [rows, H, W, C], values 0…levels-1.
      symbol: what models differ in: "m" or "lambda" (λ is not in the font).
      models: {m or λ: what draws}, ascending.
      single: {m or λ: the one reconstruction of every image, bytes as of `models`, and its array
        for an npz file}, ascending.
      latents_of: {λ: z of each image to draw}.
    """

    originals: np.ndarray | None = None
    shown_originals: np.ndarray | None = None
    symbol: str = "m"
    models: dict = dataclasses.field(default_factory=dict)
    single: dict = dataclasses.field(default_factory=dict)
    latents_of: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        """Names the rows by m or λ: for each an image below the other."""
        self.sizes = sorted({*self.models, *self.single})
        self.names = [f"{self.symbol} = {size:g}" for size in self.sizes for _ in range(self.rows)]

    def of(self, model):
        """See `Prompts`."""
        if not self.latents_of:
            return self
        (size,) = (size for size, other in self.models.items() if other is model)
        return dataclasses.replace(self, latents=self.latents_of[size])

    def cells(self, images):
        """See `Prompts`; images are those of all models, [models × num, H, W, C]."""
        drawn = self._by_size(images)
        empty = np.full_like(images[: self.num], visualization.UNDRAWN)
        blocks = []
        for size in self.sizes:
            columns = [self.shown_originals[:, None], super().cells(drawn.get(size, empty))]
            if self.single:
                single, _ = self.single.get(size, (empty[: self.rows], None))
                columns.insert(1, single[:, None])
            blocks.append(np.concatenate(columns, axis=1))
        return np.concatenate(blocks)

    def arrays(self, images):
        """See `Prompts`."""
        single, drawn = ("f", "image") if self.latents_of else ("mse", "pixelcnn")
        return {
            "originals": self.originals,
            **{f"{single}_{size:g}": array for size, (_, array) in self.single.items()},
            **{f"{drawn}_{size:g}": array for size, array in self._by_size(images).items()},
        }

    def _by_size(self, images):
        return dict(zip(self.models, np.split(images, len(self.models)), strict=True))


def reconstructions(flags, model, reading=None):
    """Reads what the flags of sample.py ask for.

    Args:
      flags: values of the flags num, reconstruct, beside, and of those that exclude them: label,
        like, per_latent, interpolate, given, colourise and upscale; resize.
      model: the model of --workdir or --saved_model.
      reading: how images are read, see `photos.Reading`.

    Returns:
      Reconstructions.

    Raises:
      UserError: a run or an image that is missing, cannot be read, or does not fit.
    """
    for name in (*("label", "like", "per_latent", "interpolate", "given", "colourise", "upscale"),):
        if getattr(flags, name):
            raise UserError(f"--reconstruct names what to draw from itself: leave out --{name}")
    if model.condition_kind != "image" and not isinstance(model, HasLatents):
        raise UserError(
            "--reconstruct is not possible: this model is neither conditioned on an image nor has "
            "it latent numbers; give an autoencoder by --workdir"
        )
    reading = reading or photos.Reading(resize=resizing(flags))
    originals = photos.read_images(flags.reconstruct, model.image_shape, model.levels, reading)
    originals = _first(originals, flags.num, flags.reconstruct)
    rows = len(originals)
    num = flags.num or 4 * rows
    turn = np.arange(num)
    result = {
        "streams": turn,
        "rows": rows,
        "originals": originals,
        "shown_originals": visualization.to_bytes(originals, model.levels),
    }
    if isinstance(model, HasLatents):
        return Reconstructions(num, **result, **_by_latents(flags, model, originals, turn))
    models, single = _runs(flags.beside or (), model)
    single = {size: other.reconstruct(originals) for size, other in single.items()}
    return Reconstructions(
        num,
        originals[turn % rows],
        **result,
        models=models,
        single={size: (visualization.to_bytes(x, model.levels), x) for size, x in single.items()},
    )


def _by_latents(flags, model, originals, turn):
    """Of models with latent numbers: what their `Reconstructions` have of their own."""
    models = {_weight(model): model}
    for workdir in flags.beside or ():
        other, _ = cli.load_beside(workdir, model)
        if not isinstance(other, HasLatents):
            raise UserError(f"--beside={workdir}: this model has no latent numbers")
        if _weight(other) in models:
            raise UserError(
                f"--beside={workdir}: a run with λ = {_weight(other):g} (model.kl_weight) is there "
                "already; give one run of each"
            )
        models[_weight(other)] = other
    models = dict(sorted(models.items()))
    single, latents = {}, {}
    for weight, each in models.items():
        z = np.asarray(each.encode_latents(originals))
        f = np.asarray(each.show_latents(z))
        single[weight] = visualization.enlarged(f, each.view.levels, each.image_shape), f
        latents[weight] = z[turn % len(z)]
    return {"symbol": "lambda", "models": models, "single": single, "latents_of": latents}


def _weight(model):
    """The λ that a model was trained with."""
    return getattr(model, "kl_weight", 1.0)


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
        elif isinstance(other, Reconstructs):
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
