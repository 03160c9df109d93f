"""What sample.py draws images from: classes, images of several kinds, ways between two.

Prompts are taken in turn: with 3 of them image i is drawn from prompt i mod 3, and every prompt has
a row of the grid.
"""

import dataclasses
import math

import numpy as np

from gated_pixelcnn import visualization
from gated_pixelcnn.cli.labels import class_name, parse_labels
from gated_pixelcnn.cli.tasks import interpolate
from gated_pixelcnn.data import photos
from gated_pixelcnn.data.preprocessing import BYTES
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.capabilities import HasLatents, HasPrior


@dataclasses.dataclass
class Prompts:
    """What a number of images is drawn from.

    Attributes:
      num: number of images.
      condition: what the model is conditioned on, one for each image, or None.
      streams: number of each image's stream of random numbers [num].
      rows: number of rows of the grid, one for every label of every image; None for a grid that is
        about square.
      labels: the condition, where it is a label.
      names: what is written beside the rows, or None.
      shown: images at the left of the rows, bytes [rows, H, W, C], or several of them for each
        row [rows, columns, H, W, C], or None.
      given: images to complete, one for each image, or None.
      known: booleans [H, W, 1]: where they are kept.
      view: gray or small images that the images are drawn from, one for each, or None.
      latents: z that they are drawn from, one for each, or None.
    """

    num: int
    condition: np.ndarray | None = None
    streams: np.ndarray | None = None
    rows: int | None = None
    labels: np.ndarray | None = None
    names: list | None = None
    shown: np.ndarray | None = None
    given: np.ndarray | None = None
    known: np.ndarray | None = None
    view: np.ndarray | None = None
    latents: np.ndarray | None = None

    def of(self, model):
        """What one of several models draws from."""
        return self

    def cells(self, images):
        """The cells of the grid, where every prompt has a row.

        Args:
          images: drawn from the prompts, bytes [num, H, W, C].

        Returns:
          Bytes [rows, columns, H, W, C]: what is shown at the left, then the images; gray where
          there are none.
        """
        columns = math.ceil(self.num / self.rows)
        cells = np.full((columns * self.rows, *images.shape[1:]), visualization.UNDRAWN, np.uint8)
        cells[: self.num] = images
        cells = cells.reshape(columns, self.rows, *images.shape[1:]).swapaxes(0, 1)
        if self.shown is None:
            return cells
        shown = self.shown if self.shown.ndim == 5 else self.shown[:, None]
        return np.concatenate([shown, cells], axis=1)

    def arrays(self, images):
        """What an npz file holds of the images that were drawn, by name."""
        return {"images": images} | ({} if self.labels is None else {"labels": self.labels})


def prompts(flags, model, class_names=(), reading=None, empty_classes=()):
    """Reads the prompts that the flags of sample.py name.

    Args:
      flags: values of the flags num, seed, label, like, per_latent, interpolate, path, given,
        keep_rows, mask, colourise, upscale and resize.
      model: the model that is to draw.
      class_names: names of the classes in the order of their numbers, or none.
      reading: how images are read, see `photos.Reading`.
      empty_classes: numbers of those that were not trained on.

    Returns:
      Prompts.

    Raises:
      UserError: a prompt that is missing, not wanted, cannot be read, or does not fit.
    """
    reading = reading or photos.Reading(resize=resizing(flags))
    if flags.interpolate:
        return _interpolation(flags, model, class_names, reading, empty_classes)
    if flags.per_latent or (flags.like and isinstance(model, HasLatents)):
        return _from_latents(flags, model, reading)
    view, view_levels = _read_view(flags, model, reading)
    labels = parse_labels(flags.label, model, class_names, empty_classes)
    likes = _read_likes(flags, model, reading)
    given, known = _read_given(flags, model, reading)
    several = labels is not None and len(labels) > 1
    images = next((x for x in (given, view, likes) if x is not None), None)
    if images is not None:
        rows, each = len(images) * len(labels or [None]), 4
    else:
        rows, each = (len(labels), 8) if several else (None, 16)
    num = flags.num or (rows or 1) * each
    turn = np.arange(num)
    result = Prompts(num, streams=turn, rows=rows and min(rows, num))
    # With images every one of them has a row for every label.
    of_image = turn % (rows or 1) // len(labels or [None])
    if labels is not None:
        result.labels = np.array(labels, np.int32)[turn % len(labels)]
        result.condition = result.labels
        if several:
            names = [class_name(label, class_names) for label in result.labels]
            result.names = names[: result.rows]
    if likes is not None:
        result.condition = likes[of_image]
        shown = visualization.to_bytes(likes, model.levels)
    if given is not None:
        result.given, result.known = given[of_image], known
        shown = np.where(known, visualization.to_bytes(given, model.levels), visualization.UNDRAWN)
    if view is not None:
        result.view = view[of_image]
        shown = visualization.enlarged(view, view_levels, model.image_shape)
    if images is not None:
        result.shown = shown[of_image[: result.rows]]
    return result


def _from_latents(flags, model, reading):
    """Several images of every z: f(z) has the left column, after the image whose z it is."""
    name = "per_latent" if flags.per_latent else "like"
    for other in ("label", "given", "colourise", "upscale"):
        if getattr(flags, other):
            raise UserError(f"--{name} names what to draw from itself: leave out --{other}")
    if not isinstance(model, HasLatents):
        raise UserError(
            "--per_latent is not possible: this model has no latent numbers, as those of the "
            "families vae and agave have, and an exported model draws them itself"
        )
    shown = []
    if flags.like:
        likes = photos.read_images(flags.like, model.image_shape, model.levels, reading)
        latents = np.asarray(model.encode_latents(likes))
        shown = [visualization.to_bytes(likes, model.levels)]
        each = flags.per_latent or 4
        num = flags.num or len(latents) * each
    else:
        each = flags.per_latent
        num = flags.num or 4 * each
        latents = np.asarray(model.draw_latents(flags.seed, np.arange(-(-num // each))))
    shown.append(
        visualization.enlarged(model.show_latents(latents), model.view.levels, model.image_shape)
    )
    rows = min(len(latents), num)
    turn = np.arange(num)
    result = Prompts(num, streams=turn, rows=rows, latents=latents[turn % len(latents)])
    result.shown = np.stack(shown, axis=1)[:rows]
    return result


def resizing(flags):
    """What `photos.Reading` takes for the flag --resize: it says what it does to an image."""
    return print if flags.resize else None


def _read_likes(flags, model, reading):
    """Returns the images of --like, or None."""
    if model.condition_kind != "image":
        if flags.like:
            raise UserError("--like is not possible: this model is not conditioned on an image")
        return None
    if not flags.like:
        raise UserError(
            "this model is conditioned on an image: give one, a directory or an npz file by --like"
        )
    return photos.read_images(flags.like, model.image_shape, model.levels, reading)


def _read_given(flags, model, reading):
    """Returns the images to complete and which values are kept, or (None, None)."""
    if not flags.given:
        return None, None
    if model.is_lower_bound:
        raise UserError(
            "--given is not possible: this model draws an image in several stages, so it cannot "
            "complete one"
        )
    given = photos.read_images(flags.given, model.image_shape, model.levels, reading)
    if flags.mask:
        return given, photos.read_mask(flags.mask, model.image_shape, reading)
    height, width = model.image_shape[:2]
    if not 0 <= flags.keep_rows <= height:
        raise UserError(f"--keep_rows must be 0…{height}, got {flags.keep_rows}")
    kept = np.arange(height)[:, None, None] < flags.keep_rows
    return given, np.broadcast_to(kept, (height, width, 1))


def _read_view(flags, model, reading):
    """Returns the views that --colourise or --upscale gives and their levels, or (None, None)."""
    if not flags.colourise and not flags.upscale:
        return None, None
    name = "colourise" if flags.colourise else "upscale"
    for other in ({"colourise", "upscale"} - {name}) | {"given"}:
        if getattr(flags, other):
            raise UserError(f"--{name} names what to draw from itself: leave out --{other}")
    if flags.saved_model:
        raise UserError(f"--{name} needs --workdir: an exported model draws all stages itself")
    wholes = [part for part in _wholes(model) if part.transform.halves == (name == "upscale")]
    if not wholes:
        raise UserError(
            "--colourise is not possible: this model is not a Grayscale PixelCNN, which draws a "
            "gray image first (model.transform=gray, as in the preset grayscale)"
            if name == "colourise"
            else "--upscale is not possible: this model does not draw a small image first "
            "(model.transform=half, as in the preset pyramid)"
        )
    if name == "colourise":
        view, levels = _gray_view(flags, wholes[0], reading)
    else:
        prior = _prior_of_size(flags, [whole.prior for whole in wholes], reading)
        view = photos.read_images(flags.upscale, prior.image_shape, prior.levels, reading)
        levels = prior.levels
    from gated_pixelcnn.runs.load import check_trained  # which imports TensorFlow

    if model.untrained and not (
        model.untrained == "prior" and view.shape[1:] == model.prior.image_shape
    ):
        check_trained(model)
    return view, levels


def _wholes(model):
    """A model of parts, its prior if that is one, too, and so on."""
    while isinstance(model, HasPrior):
        yield model
        model = model.prior


def _gray_view(flags, whole, reading):
    """The gray images of --colourise, or the gray views of coloured ones; and their levels."""
    path, prior = flags.colourise, whole.prior
    shape = whole.image_shape
    if photos.is_npz(path) and photos.shape_of(path)[-1] == 1:
        if photos.levels_of(path) == prior.levels or reading.values == BYTES:
            return photos.read_images(path, prior.image_shape, prior.levels, reading), prior.levels
        shape = (*shape[:2], 1)
    images = photos.read_images(path, shape, whole.levels, reading)
    if whole.levels == 256:  # bytes; gray ones may be what the prior draws
        photos.check_bytes(path, images, prior.levels, reading)
    images = np.broadcast_to(images, (len(images), *whole.image_shape))
    return whole.transform(images).numpy(), prior.levels


def _prior_of_size(flags, priors, reading):
    """The prior that draws images like those of --upscale; with --resize one that fits."""
    height, width, channels = photos.shape_of(flags.upscale, reading)
    sizes = [prior.image_shape for prior in priors]
    exact = [prior for prior in priors if prior.image_shape[:2] == (height, width)]
    # Of two with one size, in gray and in colour, that of the same colours.
    exact.sort(key=lambda prior: prior.image_shape[-1] != channels)
    smaller = [p for p in priors if p.image_shape[0] <= height and p.image_shape[1] <= width]
    if exact:
        return exact[0]
    if flags.resize and smaller and not photos.is_npz(flags.upscale):
        return smaller[0]
    wanted = " or ".join(dict.fromkeys(f"{w}x{h}" for h, w, _ in reversed(sizes)))
    offer = ""
    if smaller and not photos.is_npz(flags.upscale):
        offer = ", or give --resize, which takes the middle of a larger one"
    raise UserError(
        f"{flags.upscale} is {width}x{height} pixels (width x height), but this model enlarges "
        f"images of {wanted}: resize it to one of these{offer}"
    )


def _interpolation(flags, model, class_names, reading, empty_classes):
    """A row for each pair: from one end to the other, all with the same random numbers."""
    for name in ("label", "like", "per_latent", "given", "colourise", "upscale"):
        if getattr(flags, name):
            raise UserError(f"--interpolate names what to draw from itself: leave out --{name}")
    if flags.saved_model:
        raise UserError(
            "--interpolate needs --workdir: an exported model takes classes and images, nothing "
            "between them"
        )
    how = flags.seed, reading, class_names, empty_classes
    pairs = [interpolate.ends(text, model, *how) for text in flags.interpolate]
    rows = len(pairs)
    num = flags.num or rows * 8
    columns = -(-num // rows)
    turn = np.arange(num)
    along = np.linspace(0, 1, columns)[turn // rows] if columns > 1 else np.zeros(num)
    between = interpolate.WAYS[flags.path]
    points = np.array([between(*pairs[i % rows], t) for i, t in enumerate(along)], np.float32)
    result = Prompts(num, streams=turn % rows, rows=min(rows, num))
    if isinstance(model, HasLatents):
        result.latents = points
    else:
        result.condition = points
    return result
