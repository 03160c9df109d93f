"""Inpainting: images of which some pixels are given."""

import numpy as np
from absl import flags

from gated_pixelcnn import visualization
from gated_pixelcnn.cli.tasks.draw import of_condition
from gated_pixelcnn.cli.tasks.task import FILES, Flag, Task, path
from gated_pixelcnn.data import photos
from gated_pixelcnn.errors import UserError


class Inpaint(Task):
    """Completes images."""

    flags = (
        Flag("given", f"Images to complete: {FILES}.", path, images=True),
        Flag("keep_rows", "How many rows of the given images are kept.", flags.DEFINE_integer),
        Flag(
            "mask",
            "Image file, white where the given images are kept, black where they are drawn. A "
            "pixel is drawn given those above it and at its left: what is kept below it does not "
            "influence it (README.md, Completing images).",
            path,
        ),
    )
    takes = ("label", "like")
    impossible = "this model draws an image in several stages, so it cannot complete one"

    def possible(self, model):
        """See `Task`."""
        return not model.is_lower_bound

    def check(self, values):
        """See `Task`."""
        if (values.keep_rows is None) == (not values.mask):
            raise UserError("--given needs either --keep_rows or --mask: which part of it is kept")

    def read(self, values, model, trained):
        """See `Task`."""
        shape = model.image_shape
        given = photos.read_images(values.given, shape, model.levels, trained.reading)
        if values.mask:
            known = photos.read_mask(values.mask, shape, trained.reading)
        else:
            known = _first_rows(values.keep_rows, *shape[:2])
        shown = visualization.to_bytes(given, model.levels)
        shown = np.where(known, shown, visualization.UNDRAWN)
        return of_condition(values, model, trained, given, shown, known=known)


def _first_rows(rows, height, width):
    """Booleans [H, W, 1], True in the first rows."""
    if not 0 <= rows <= height:
        raise UserError(f"--keep_rows must be 0…{height}, got {rows}")
    return np.broadcast_to(np.arange(height)[:, None, None] < rows, (height, width, 1))
