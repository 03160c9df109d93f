"""AGAVE: a variational autoencoder whose decoder is an autoregressive density model.

Source: "Auxiliary Guided Autoregressive Variational Autoencoders" (Lucas and Verbeek, 2018),
section 3 and Figure 2.

    image ─→ z ─→ f(z) ─→ stream of convolutions that see all around ─→ every layer of the decoder
                   └─→ means of logistics of y, a view of the image

    maximised: E ln p(x | z) + E ln p(y | z) − λ KL(q(z | x) ‖ p(z))

Without the second term, the auxiliary one, a powerful autoregressive decoder ignores z (posterior
collapse). What is reported, a bound of log p(x), has the first and the third, with λ = 1.
"""

import math
from typing import Any

import tensorflow as tf

from gated_pixelcnn.errors import nearest
from gated_pixelcnn.layers import ViewEmbedding
from gated_pixelcnn.models.composite import TrainedApart, make_submodel
from gated_pixelcnn.models.latent_variable import LatentVariableModel
from gated_pixelcnn.models.registry import register
from gated_pixelcnn.models.request import Request
from gated_pixelcnn.models.transforms import VIEWS, Coarse
from gated_pixelcnn.spec import Array, ImageSpec, bits_per_dim, check_integer

DECODER = {"family": "pixelcnn_pp"}
# Of the maps over the first batch: a decoder that was trained alone, without them, is hardly
# disturbed. With 1 most of what it has learned is lost.
_DEVIATION = 0.1


@register("agave")
class AGAVE(TrainedApart, LatentVariableModel):
    """A variational autoencoder of a view of an image, and a density model of it given f(z).

    Attributes:
      stream: what makes maps of f(z).
      decoder: the density model of images given these maps (a spatial condition).
      train_only: see the constructor.
    """

    loss_name = "objective"
    submodels = ("vae", "decoder")

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 256,
        decoder: dict = DECODER,
        stream_features: int = 32,
        auxiliary: str = "image",
        auxiliary_levels: int = 0,
        auxiliary_weight: float = 1.0,
        kl_weight: float = 1.0,
        train_only: str = "",
        **kwargs: Any,
    ) -> None:
        """Makes the model.

        Args:
          image_shape: (H, W, C) of the images.
          levels: number of values per colour, 2…65,536.
          decoder: family of the density model and its arguments, without its condition.
          stream_features: maps of f(z) that the decoder sees.
          auxiliary: y: "image", "half" or "quarter" (of height and width), or "grayscale".
          auxiliary_levels: number of values of y; 0: as `auxiliary` has them.
          auxiliary_weight: of the auxiliary term; 0 for the paper's control.
          kl_weight: λ.
          train_only: "vae": only the variational autoencoder, by its own bound of y (λ = 1);
            "decoder": only the density model, by itself (f(z) is not shown to it); "": all, which
            may start from runs of these, see `take_weights`.
          **kwargs: those of `LatentVariableModel` and of Keras.

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        if auxiliary not in list(VIEWS):
            raise ValueError(f"auxiliary is {auxiliary!r}{nearest(str(auxiliary), VIEWS)}.")
        view = VIEWS[auxiliary](ImageSpec(image_shape, levels).shape, levels)
        if auxiliary_levels:
            view = Coarse(view, auxiliary_levels)
        super().__init__(image_shape, levels, view, **kwargs)
        for name, weight in {"auxiliary_weight": auxiliary_weight, "kl_weight": kl_weight}.items():
            if not 0 <= weight < math.inf:
                raise ValueError(f"{name} must be at least 0 and finite, got {weight}.")
        check_integer("stream_features", stream_features, 1)
        self.auxiliary_weight, self.kl_weight = auxiliary_weight, kl_weight
        own = {"dtype": self.dtype_policy}
        self.decoder = make_submodel(
            decoder,
            "decoder",
            image_shape=self.image_shape,
            levels=levels,
            condition="spatial",
            condition_size=stream_features,
            **own,
        )
        # As deep as the decoder: blocks at each of its scales, or its layers.
        depth = self.decoder.get_config()
        blocks, scales = depth.get("blocks", depth.get("layers")), depth.get("scales", 1)
        self.stream = ViewEmbedding(
            stream_features, blocks, scales, deviation=_DEVIATION, name="stream", **own
        )
        self.set_train_only(train_only)

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights; `input_shape` is ignored, Keras passes it."""
        super().build()
        self.stream.build((None, *self.image_shape[:2], self.view.image_shape[-1]))
        self.decoder.build((None, *self.image_shape))

    @property
    def remedy(self) -> str:
        """Advice about a submodel that nobody has trained."""
        return "start a training of all submodels from this run (train.init_from)"

    def layers_by_submodel(self) -> dict[str, list]:
        """See `TrainedApart`."""
        return {"vae": [self.network], "decoder": [self.decoder], "stream": [self.stream]}

    @property
    def remat(self) -> bool:
        """See `Trainable`."""
        return self.decoder.remat

    @remat.setter
    def remat(self, value: bool) -> None:
        self.decoder.remat = value

    def maps(self, f: Array) -> tf.Tensor:
        """The condition of the decoder: maps [N, H, W, stream_features] of f(z)."""
        factor = self.image_shape[0] // self.view.image_shape[0]
        x = tf.repeat(tf.repeat(f, factor, axis=1), factor, axis=2)
        return self.stream(tf.cast(x, self.compute_dtype))

    def image_log_prob(self, f: Array, images: Array, training: bool) -> tf.Tensor:
        """See `LatentVariableModel`; with `train_only="vae"` that of the auxiliary images."""
        if self.train_only == "vae":
            return self.view_log_prob(f, images)
        terms = self.decoder.log_prob_terms_of(images, self.maps(f), training)
        return tf.reduce_sum(terms, axis=1)

    def training_loss_of(self, images: Array, condition: Array | None, training: bool) -> tf.Tensor:
        """Minus the objective, or that of a submodel, in bits/dim of the images [N]."""
        if self.train_only != "decoder":
            return super().training_loss_of(images, condition, training)
        nats = -self._decoder_alone(images, training)
        return tf.cast(bits_per_dim(nats, self.image_shape), tf.float32)

    def objective(self, f: Array, images: Array, price: Array, training: bool) -> tf.Tensor:
        """See `LatentVariableModel`."""
        of_view = self.view_log_prob(f, images)
        if self.train_only == "vae":
            return of_view - price
        of_image = self.image_log_prob(f, images, training)
        return of_image + self.auxiliary_weight * of_view - self.kl_weight * price

    def _decoder_alone(self, images, training=False):
        """Nats by the decoder that sees nothing of z, float64 [N]."""
        nothing = self._nothing(tf.shape(images)[0])
        return tf.reduce_sum(self.decoder.log_prob_terms_of(images, nothing, training), axis=1)

    def _nothing(self, num):
        """The condition of a decoder that is not shown f(z): [num, H, W, D]."""
        shape = [num, *self.image_shape[:2], self.decoder.condition_size]
        return tf.zeros(shape, self.compute_dtype)

    def log_prob_terms_of(
        self, images: Array, condition: Array | None = None, training: bool = False, draw: int = 0
    ) -> tf.Tensor:
        """See `LatentVariableModel`; of a decoder that is trained by itself only the first."""
        if self.train_only == "decoder":
            alone = self._decoder_alone(images, training)
            return tf.stack([alone, tf.zeros_like(alone)], axis=1)
        return super().log_prob_terms_of(images, condition, training, draw)

    @property
    def uses_latents(self) -> bool:
        """See `LatentVariableModel`."""
        return self.train_only != "decoder"

    def statistics_of(self, f: Array, images: Array) -> dict:
        """See `LatentVariableModel`."""
        nats = -self.view_log_prob(f, images)
        return {"auxiliary_bits_per_dim": bits_per_dim(nats, self.view.image_shape)}

    @property
    def draws_categories(self) -> bool:
        """See `DensityModel`."""
        return self.decoder.draws_categories

    @property
    def methods(self) -> tuple[str, ...]:
        """See `DensityModel`."""
        return self.decoder.methods

    @property
    def draws_logistics(self) -> bool:
        """See `DensityModel`."""
        return self.decoder.draws_logistics

    def draw_given(self, f: Array, request: Request) -> tf.Tensor:
        """See `LatentVariableModel`."""
        condition = self.maps(f) if self.uses_latents else self._nothing(tf.shape(f)[0])
        return self.decoder.draw(request._replace(condition=condition))[-1]
