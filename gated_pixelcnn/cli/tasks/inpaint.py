"""Inpainting: images of which some pixels are given."""

import numpy as np

from gated_pixelcnn import visualization
from gated_pixelcnn.cli import conditions
from gated_pixelcnn.cli.tasks.draw import of_condition
from gated_pixelcnn.cli.tasks.task import FILES, ImagesFlag, IntegerFlag, PathFlag, Task, look_of
from gated_pixelcnn.data import photos
from gated_pixelcnn.errors import UserError


class Inpaint(Task):
    """Completes images."""

    flags = (
        ImagesFlag("given", f"Images to complete: {FILES}."),
        IntegerFlag("keep_rows", "How many rows of the given images are kept."),
        PathFlag(
            "mask",
            "Image file, white where the given images are kept, black where they are drawn. A "
            "pixel is drawn given those above it and at its left: what is kept below it does not "
            "influence it (docs/sampling.md, Completing images).",
        ),
    )
    takes = (*conditions.FLAGS, "like")
    impossible = "this model draws an image in several stages, so it cannot complete one"

    def _possible(self, model):
        return model.completes

    def _read(self, values, model, trained):
        if (values.keep_rows is None) == (not values.mask):
            raise UserError("--given needs either --keep_rows or --mask: which part of it is kept")
        given = trained.images(values.given, model)
        if values.mask:
            known = photos.read_mask(values.mask, model.image_shape, trained.reading)
        else:
            known = _first_rows(values.keep_rows, *model.image_shape[:2])
        shown = visualization.partly(given, look_of(values, model), known)
        return of_condition(values, model, trained, given, shown, known=known)


def _first_rows(rows, height, width):
    """Booleans [H, W, 1], True in the first rows."""
    if not 0 <= rows <= height:
        raise UserError(f"--keep_rows must be 0…{height}, got {rows}")
    return np.broadcast_to(np.arange(height)[:, None, None] < rows, (height, width, 1))
