"""Pictures that evaluate.py draws of models: receptive fields, and images with their bits."""

import contextlib
import dataclasses
import sys

from gated_pixelcnn import cli
from gated_pixelcnn.errors import UserError

FLAGS = ("receptive_field", "heatmap")


def define_flags(values):
    """Defines the flags in FlagValues."""
    cli.define_path(
        "receptive_field",
        "PNG file: which pixels the distribution of one pixel depends on, and how strongly, by the "
        "Jacobian; of the models of --beside, too.",
        values,
    )
    cli.define_path(
        "heatmap", "PNG file: images, and the bits that each of their pixels costs.", values
    )


def draw(values, model, images, others):
    """Writes the pictures that flags ask for, and prints their names to stderr.

    Args:
      values: FlagValues.
      model: the model that is evaluated.
      images: `Images`, of which the first are shown.
      others: models of --beside, by their directory.

    Raises:
      UserError: a model that has no such picture.
    """
    import numpy as np

    from gated_pixelcnn import visualization
    from gated_pixelcnn.evaluation import pictures

    if not any(values[name].value for name in FLAGS):
        return
    first = dataclasses.replace(images, batch_size=min(pictures.IMAGES, images.num))
    batch, beside = next(first.batches())
    if path := values.heatmap:
        with _possible("heatmap"):
            bits = pictures.pixel_bits(model, batch, model.condition_spec.of_data(batch, beside))
        picture, highest = pictures.draw_pixel_bits(batch, model.image_spec, bits)
        visualization.save_png(path, picture)
        print(f"heatmap: {path} (white: {highest:.2f} bits)", file=sys.stderr)
    if path := values.receptive_field:
        if values.saved_model:
            raise UserError("--receptive_field needs --workdir: an export has no gradients")
        drawn = []
        for each in (model, *others.values()):
            condition = each.condition_spec.of_data(batch, beside)
            with _possible("receptive_field"):
                found = pictures.receptive_field(each, batch, condition)
            drawn.append(pictures.draw_receptive_field(*found))
        picture = visualization.grid(np.stack(drawn), 256, columns=1)
        if others:
            picture = visualization.captioned(picture, [values.workdir, *others])
        visualization.save_png(path, picture)
        print(f"receptive field: {path}", file=sys.stderr)


@contextlib.contextmanager
def _possible(flag):
    """A ValueError in this context says why a flag is not possible."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"--{flag} is not possible: {error}") from error
