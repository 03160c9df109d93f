"""Colours of gray images."""

import numpy as np

from gated_pixelcnn.cli.tasks.task import FILES, Flag, path
from gated_pixelcnn.cli.tasks.views import FromView
from gated_pixelcnn.data import photos
from gated_pixelcnn.data.preprocessing import BYTES


class Colourise(FromView):
    """Draws images of which the gray view is given."""

    flags = (
        Flag(
            "colourise",
            "For a Grayscale PixelCNN, images to colour, gray ones or the gray view of coloured "
            f"ones: {FILES}.",
            path,
            images=True,
        ),
    )
    impossible = (
        "this model is not a Grayscale PixelCNN, which draws a gray image first "
        "(model.transform=gray, as in the preset grayscale)"
    )

    def view(self, values, composites, reading):
        """See `FromView`: gray images, or the gray views of coloured ones."""
        name, whole = values.colourise, composites[0]
        prior, shape = whole.prior, whole.image_shape
        if photos.is_npz(name) and photos.shape_of(name)[-1] == 1:
            if photos.levels_of(name) == prior.levels or reading.values == BYTES:
                gray = photos.read_images(name, prior.image_shape, prior.levels, reading)
                return gray, prior.levels
            shape = (*shape[:2], 1)
        images = photos.read_images(name, shape, whole.levels, reading)
        if whole.levels == 256:  # bytes; gray ones may be what the prior draws
            photos.check_bytes(name, images, prior.levels, reading)
        images = np.broadcast_to(images, (len(images), *whole.image_shape))
        return whole.transform(images).numpy(), prior.levels
