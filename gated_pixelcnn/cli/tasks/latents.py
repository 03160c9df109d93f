"""Several images of every z, beside f(z)."""

import numpy as np

from gated_pixelcnn import visualization
from gated_pixelcnn.cli.tasks.task import IntegerFlag, Prompts, Task
from gated_pixelcnn.models.capabilities import HasLatents


class Latents(Task):
    """Draws from latent variables: of images, or drawn themselves."""

    flags = (
        IntegerFlag(
            "per_latent",
            "For a model with latent variables (vae, agave): draw so many images from each z, "
            "beside f(z); one row of the grid for each z.",
            least=1,
        ),
    )
    takes = ("like",)
    capabilities = (HasLatents,)
    impossible = (
        "this model has no latent variables, as those of the families vae and agave have, and an "
        "exported model draws them itself"
    )

    def _read(self, values, model, trained):
        # f(z) stands at the left, after the image whose z it is.
        each, shown = values.per_latent or 4, []
        if values.like:
            likes = trained.images(values.like, model)
            shown = [visualization.to_bytes(likes, model.levels)]
            latents = np.asarray(model.encode_latents(likes))
            num = values.num or len(latents) * each
        else:
            num = values.num or 4 * each
            latents = np.asarray(model.draw_latents(values.seed, np.arange(-(-num // each))))
        f = model.show_latents(latents)
        shown.append(visualization.enlarged(f, model.view.levels, model.image_shape))
        rows, turn = min(len(latents), num), np.arange(num)
        shown = np.stack(shown, axis=1)[:rows]
        return Prompts(num, turn, rows, shown=shown, stage=latents[turn % len(latents)])
