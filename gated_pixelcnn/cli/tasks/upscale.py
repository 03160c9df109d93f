"""Super-resolution: large images of small ones."""

from gated_pixelcnn.cli.tasks.draw import FromView
from gated_pixelcnn.cli.tasks.task import FILES, ImagesFlag
from gated_pixelcnn.data import photos
from gated_pixelcnn.errors import UserError


class Upscale(FromView):
    """Draws images of which a stage of smaller size is given."""

    flags = (
        ImagesFlag(
            "upscale",
            "For a multi-scale model or a Pyramid PixelCNN, small images to enlarge, of the size "
            f"of one of its stages: {FILES}.",
        ),
    )
    impossible = (
        "this model does not draw a small image first (model.transform=half, as in the preset "
        "pyramid)"
    )
    halves = True

    def _view(self, values, composites, trained):
        priors = [composite.prior for composite in composites]
        prior = _prior_of_size(values.upscale, values.resize, priors, trained.reading)
        return trained.images(values.upscale, prior), prior.levels


def _prior_of_size(name, resize, priors, reading):
    """The prior that draws images like those of a file; with --resize one that fits."""
    height, width, channels = photos.shape_of(name, reading)
    exact = [prior for prior in priors if prior.image_shape[:2] == (height, width)]
    # Of two with one size, in gray and in colour, that of the same colours.
    exact.sort(key=lambda prior: prior.image_shape[-1] != channels)
    smaller = [p for p in priors if p.image_shape[0] <= height and p.image_shape[1] <= width]
    resizable = smaller and not photos.is_npz(name)
    if exact:
        return exact[0]
    if resize and resizable:
        return smaller[0]
    sizes = [prior.image_shape for prior in reversed(priors)]
    wanted = " or ".join(dict.fromkeys(f"{w}x{h}" for h, w, _ in sizes))
    offer = ", or give --resize, which takes the middle of a larger one" if resizable else ""
    raise UserError(
        f"{name} is {width}x{height} pixels (width x height), but this model enlarges images of "
        f"{wanted}: resize it to one of these{offer}"
    )
