"""Images of classes, or like given ones."""

import numpy as np

from gated_pixelcnn import visualization
from gated_pixelcnn.cli.labels import class_name, parse_labels
from gated_pixelcnn.cli.tasks.latents import Latents
from gated_pixelcnn.cli.tasks.task import FILES, Flag, Prompts, Task, path
from gated_pixelcnn.data import photos
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.capabilities import HasLatents


class Draw(Task):
    """Draws from the condition alone, which all models have that have one."""

    flags = (
        Flag(
            "label",
            "Classes to draw: a number or a name, several with commas between them, or 'all'; one "
            "row of the grid for each.",
        ),
        Flag(
            "like",
            f"For a model conditioned on an image, or with latent variables: {FILES}; one row of "
            "the grid for each.",
            path,
            images=True,
        ),
    )

    def possible(self, model):
        """See `Task`: flags of conditions that the model has not are refused one by one."""
        return True

    def read(self, values, model, trained):
        """See `Task`."""
        if values.like and isinstance(model, HasLatents):
            return Latents().read(values, model, trained)
        return of_condition(values, model, trained)


def of_condition(values, model, trained, images=None, shown=None, field="given", **fixed):
    """Prompts of every label of --label for every image, of --like or others.

    Args:
      values: FlagValues.
      model: the model that is to draw.
      trained: a `Trained`.
      images: what is drawn from beside the condition, or None.
      shown: these images as bytes [N, H, W, C].
      field: of Prompts, which gets them.
      **fixed: further attributes of Prompts.

    Returns:
      Prompts.
    """
    labels = parse_labels(values.label, model, trained.class_names, trained.empty_classes)
    likes = _read_likes(values, model, trained.reading)
    several = labels is not None and len(labels) > 1
    if images is None and likes is not None:
        images, field, shown = likes, "condition", visualization.to_bytes(likes, model.levels)
    if images is not None:
        rows, each = len(images) * len(labels or [None]), 4
    else:
        rows, each = (len(labels), 8) if several else (None, 16)
    num = values.num or (rows or 1) * each
    turn = np.arange(num)
    result = Prompts(num, turn, rows and min(rows, num), **fixed)
    # With images every one of them has a row for every label.
    of_image = turn % (rows or 1) // len(labels or [None])
    if labels is not None:
        result.condition = result.labels = np.array(labels, np.int32)[turn % len(labels)]
    if several:
        names = [class_name(label, trained.class_names) for label in result.labels]
        result.names = names[: result.rows]
    if likes is not None:
        result.condition = likes[of_image % len(likes)]
    if images is not None:
        setattr(result, field, images[of_image])
        result.shown = shown[of_image[: result.rows], None]
    return result


def _read_likes(values, model, reading):
    """Returns the images of --like, or None."""
    if model.condition_kind != "image":
        if values.like:
            raise UserError("--like is not possible: this model is not conditioned on an image")
        return None
    if not values.like:
        raise UserError(
            "this model is conditioned on an image: give one, a directory or an npz file by --like"
        )
    return photos.read_images(values.like, model.image_shape, model.levels, reading)
