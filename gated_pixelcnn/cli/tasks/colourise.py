"""Colours of gray images."""

import numpy as np

from gated_pixelcnn.cli.tasks.draw import FromView
from gated_pixelcnn.cli.tasks.task import FILES, ImagesFlag
from gated_pixelcnn.data import photos
from gated_pixelcnn.data.preprocessing import BYTES


class Colourise(FromView):
    """Draws images of which the gray view is given."""

    flags = (
        ImagesFlag(
            "colourise",
            "For a Grayscale PixelCNN, images to colour, gray ones or the gray view of coloured "
            f"ones: {FILES}.",
        ),
    )
    impossible = (
        "this model is not a Grayscale PixelCNN, which draws a gray image first "
        "(model.transform=grayscale, as in the preset grayscale)"
    )

    def _view(self, values, composites, trained):
        name, whole, reading = values.colourise, composites[0], trained.reading
        prior, shape = whole.prior, whole.image_shape
        if photos.is_npz(name) and photos.shape_of(name)[-1] == 1:
            if photos.levels_of(name) == prior.levels or reading.values == BYTES:
                return trained.images(name, prior), prior.levels
            shape = (*shape[:2], 1)
        images = photos.read_images(name, shape, whole.levels, reading)
        if whole.levels == 256:  # bytes; gray ones may be what the prior draws
            photos.check_bytes(name, images, prior.levels, reading)
        images = np.broadcast_to(images, (len(images), *whole.image_shape))
        return whole.transform(images).numpy(), prior.levels
