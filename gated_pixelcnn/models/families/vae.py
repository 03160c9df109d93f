"""A variational autoencoder: pixels are independent of each other, given z.

Source: "Improving Variational Inference with Inverse Autoregressive Flow" (Kingma et al., 2016),
section 6.2: means f(z) of logistics for every colour of every pixel, and a scale for every colour
that all pixels share.
"""

from typing import Any

import tensorflow as tf

from gated_pixelcnn import sampling
from gated_pixelcnn.likelihoods.logistic import clamp_log_scale, draw_logistic
from gated_pixelcnn.models.latent_variable import LatentVariableModel
from gated_pixelcnn.models.registry import register
from gated_pixelcnn.models.request import Request
from gated_pixelcnn.models.transforms import Whole
from gated_pixelcnn.spec import Array


@register("vae")
class VAE(LatentVariableModel):
    """A variational autoencoder with the posterior of an inverse autoregressive flow."""

    def __init__(self, image_shape: tuple[int, int, int], levels: int = 256, **kwargs: Any) -> None:
        """Makes the model.

        Args:
          image_shape: (H, W, C) of the images.
          levels: number of values per colour, 2…65,536.
          **kwargs: those of `LatentVariableModel` and of Keras.

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(image_shape, levels, Whole(image_shape, levels), **kwargs)

    def image_log_prob(self, f: Array, images: Array, training: bool) -> tf.Tensor:
        """See `LatentVariableModel`."""
        return self.view_log_prob(f, images)

    def objective(self, f: Array, images: Array, price: Array, training: bool) -> tf.Tensor:
        """See `LatentVariableModel`."""
        return self.view_log_prob(f, images) - price

    def draw_given(self, f: Array, request: Request) -> tf.Tensor:
        """See `LatentVariableModel`."""
        options = request.options
        if options.most_probable:
            return self.as_view(f)
        noise = sampling.uniform_noise(request.seed, request.example_seeds, self.image_shape)
        narrower, temperature = (
            tf.cast(x, f.dtype) for x in (options.reduce_log_scale, options.temperature)
        )
        log_scales = tf.cast(self.network.log_scales.value, f.dtype) - narrower
        scales = tf.exp(clamp_log_scale(log_scales, self.levels)) * temperature
        drawn = draw_logistic(f, scales, tf.cast(noise, f.dtype), self.levels)
        return tf.cast(drawn, self.image_spec.dtype)
