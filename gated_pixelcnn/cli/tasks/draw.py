"""Images of classes or like others, alone or with images that are given, too."""

import abc

import numpy as np
from absl import flags

from gated_pixelcnn import visualization
from gated_pixelcnn.cli import conditions
from gated_pixelcnn.cli.conditions import read_conditions, refuse_other_flags
from gated_pixelcnn.cli.tasks.latents import Latents
from gated_pixelcnn.cli.tasks.task import FILES, Flag, ImagesFlag, PathFlag, Prompts, Task
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.capabilities import HasLatents, HasPrior, HasViews


class Draw(Task):
    """Draws from the condition alone, if the model has one."""

    flags = (
        Flag(
            "label",
            "Classes to draw: a number or a name, several with commas between them, or 'all'; one "
            "row of the grid for each.",
        ),
        PathFlag(
            "vector",
            "For a model conditioned on a vector: npz file with an array h, [D] or [N, D]; one row "
            "of the grid for each.",
            ending=".npz",
        ),
        Flag(
            "tags",
            "For a model conditioned on a vector with names: those that are 1, with commas between "
            "them, or name=number; all others are 0. Again for another row.",
            define=flags.DEFINE_multi_string,
        ),
        ImagesFlag(
            "map",
            "For a model conditioned on maps: npz file with an array h, [H, W, D] or [N, H, W, D]; "
            "or an image file, whose bytes become 0…1.",
        ),
        ImagesFlag(
            "like",
            f"For a model conditioned on an image, or with latent variables: {FILES}; one row of "
            "the grid for each.",
        ),
    )

    def _possible(self, model):
        return True  # a flag of a condition that the model does not have is refused when it is read

    def _read(self, values, model, trained):
        if values.like and isinstance(model, HasLatents):
            refuse_other_flags(values, model, but=("like",))
            return Latents().prompts(values, model, trained)
        return of_condition(values, model, trained)


def of_condition(values, model, trained, images=None, shown=None, field="given", **fixed):
    """Reads the flags of the condition: Prompts of each one for every image of --like or `images`.

    These are what is drawn from beside the condition, the `field` of Prompts, and `shown` are their
    bytes [N, H, W, C]; **fixed are further attributes of Prompts.
    """
    refuse_other_flags(values, model)
    conditions, names = read_conditions(values, model, trained)
    likes = _read_likes(values, model, trained)
    count = 1 if conditions is None else len(conditions)
    if images is None and likes is not None:
        images, field, shown = likes, "condition", visualization.to_bytes(likes, model.levels)
    if images is not None:
        rows, each = len(images) * count, 4
    else:
        rows, each = (count, 8) if count > 1 else (None, 16)
    num = values.num or (rows or 1) * each
    turn = np.arange(num)
    result = Prompts(num, turn, rows and min(rows, num), **fixed)
    # With images every one of them has a row for every condition.
    of_image = turn % (rows or 1) // count
    if conditions is not None:
        result.condition = conditions[turn % count]
        name = "labels" if model.condition_kind == "label" else "h"
        result.saved = {name: result.condition}
    if names and count > 1:
        result.names = [names[i % count] for i in range(result.rows)]
    if likes is not None:
        result.condition = likes[of_image % len(likes)]
    if images is not None:
        setattr(result, field, images[of_image])
        result.shown = shown[of_image[: result.rows], None]
    return result


def _read_likes(values, model, trained):
    """Returns the images of --like, or None."""
    if model.condition_kind != "image":
        return None
    if not values.like:
        raise UserError(
            "this model is conditioned on an image: give one, a directory or an npz file by --like"
        )
    return trained.images(values.like, model)


class FromView(Task):
    """Draws from the conditional of a composite, given views of the images.

    Attributes:
      halves: Whether these are small images, and not gray ones.
    """

    takes = conditions.FLAGS
    not_exported = "an exported model draws all stages itself"
    whole = False  # a view that is given may do without a prior
    halves = False

    def _composites(self, model):
        """The model, its prior if that is a composite, too, and so on, with views of this kind."""
        found = []
        while isinstance(model, HasPrior):
            is_one = isinstance(model, HasViews) and model.transform.halves == self.halves
            found += [model] if is_one else []
            model = model.prior
        return found

    def _possible(self, model):
        return bool(self._composites(model))

    @abc.abstractmethod
    def _view(self, values, composites, trained):
        """Reads the views: uint8 [N, h, w, C], and their levels."""

    def _read(self, values, model, trained):
        from gated_pixelcnn.runs.load import check_trained  # which imports TensorFlow

        view, levels = self._view(values, self._composites(model), trained)
        if model.untrained != "prior" or view.shape[1:] != model.prior.image_shape:
            check_trained(model)
        shown = visualization.enlarged(view, levels, model.image_shape)
        return of_condition(values, model, trained, view, shown, "stage")
