"""Two density models that share the work: one of a simpler view of an image, one of the rest.

p(x̂, x) = p(x̂) p(x | x̂) with x̂ = ψ(x), a deterministic view of the image. As other views may give
the same image, too, log p(x) ≥ log p(ψ(x)) + log p(x | ψ(x)): a lower bound, which is what is
trained and reported.

Sources:
- multi-scale: "Pixel Recurrent Neural Networks" (van den Oord et al., 2016a), section 3.5, and
  "Conditional Image Generation with PixelCNN Decoders" (2016b), the appendix: a class-conditional
  model of small images, and one of large images given the class and the deconvolved small image;
- the bound: "PixelCNN Models with Auxiliary Variables for Natural Image Modeling" (Kolesnikov and
  Lampert, 2017), equation 2; Grayscale PixelCNN (gray view) and Pyramid PixelCNN (half the size),
  with the embedding network f_w.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from gated_pixelcnn.errors import nearest
from gated_pixelcnn.layers import Upsampler, ViewEmbedding
from gated_pixelcnn.models.registry import register
from gated_pixelcnn.models.transforms import TRANSFORMS
from gated_pixelcnn.models.two_stage_model import PART, TwoStageModel
from gated_pixelcnn.spec import Array, ImageSpec, condition_spec


@register("auxiliary")
class AuxiliaryModel(TwoStageModel):
    """A prior of views ψ(x) and a conditional of images given their view, see `TwoStageModel`.

    Attributes:
      transform: ψ, see `transforms`.
    """

    is_lower_bound = True
    completes = False

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 256,
        transform: str = "half",
        prior: dict = PART,
        conditional: dict = PART,
        embedding: str = "deconvolution",
        embedding_features: int = 32,
        embedding_blocks: int = 3,
        embedding_scales: int = 2,
        condition: str | None = None,
        condition_size: int = 0,
        condition_names: Sequence[str] = (),
        spatial_features: int = 0,
        train_only: str = "",
        **kwargs: Any,
    ) -> None:
        """Makes the model.

        Args:
          image_shape: (H, W, C) of the images.
          levels: number of values per colour, 2…65,536.
          transform: name of ψ: "half" or "grayscale".
          prior: family of the prior and its arguments, without its condition.
          conditional: the same of the conditional.
          embedding: what makes maps of a view: "deconvolution" (`Upsampler`, of small views) or
            "resnet" (`ViewEmbedding`).
          embedding_features: maps that the conditional sees of a view.
          embedding_blocks: of "resnet", see `ViewEmbedding`.
          embedding_scales: of "resnet", see `ViewEmbedding`.
          condition: None, "label" or "vector", of both submodels.
          condition_size: number of classes or length of the vector.
          condition_names: names of the classes in the order of the labels, or of the entries of
            the vector, if they are known.
          spatial_features: maps of m(h) beside those of the view; 0: the conditional sees the label
            or the vector itself, the same at all positions. The prior has a setting of its own.
          train_only: "prior" or "conditional": only this submodel is trained, by its own term; "":
            both. They share no weight and may be trained at the same time, see `take_prior`. A
            prior that is of this kind, too, may have a `train_only` where this model has "prior";
            its validation then counts its untrained submodel as well, which adds a constant.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(**kwargs)
        if transform not in list(TRANSFORMS):
            raise ValueError(f"transform is {transform!r}{nearest(str(transform), TRANSFORMS)}.")
        if condition not in (None, "label", "vector"):
            raise ValueError(
                f"condition of an auxiliary model must be None, 'label' or 'vector', got "
                f"{condition!r}."
            )
        self.image_spec = ImageSpec(image_shape, levels)
        self.condition_spec = condition_spec(
            condition, condition_size, self.image_spec, condition_names
        )
        self.transform = TRANSFORMS[transform](self.image_shape, levels)
        self.terms = (self.transform.term, "image given it")
        self._make(
            ImageSpec(self.transform.image_shape, self.transform.levels),
            self.image_spec,
            _embedding(
                embedding,
                self.transform.halves,
                embedding_features,
                embedding_blocks,
                embedding_scales,
                dtype=self.dtype_policy,
            ),
            prior,
            conditional,
            spatial_features,
            train_only,
        )

    def parts_of(self, images: Array) -> tuple[tf.Tensor, tf.Tensor]:
        """See `TwoStageModel`: the view repeats what is in the image, which is the rest."""
        return self.transform(images), images

    def whole(self, view: tf.Tensor, rest: tf.Tensor) -> tf.Tensor:
        """See `TwoStageModel`."""
        return rest

    def shown(self, view: Array) -> tf.Tensor:
        """See `TwoStageModel`."""
        return self.prior.scale(view)


def _embedding(kind, halves, features, blocks, scales, **kwargs):
    """The layer that makes maps of a view, of the size of the image."""
    if kind == "resnet":
        return ViewEmbedding(features, blocks, scales, twice=halves, name="embedding", **kwargs)
    if kind == "deconvolution" and halves:
        return Upsampler(features, name="embedding", **kwargs)
    if kind == "deconvolution":
        raise ValueError(
            "embedding='deconvolution' is of views of half the size; this transform needs 'resnet'."
        )
    raise ValueError(f"embedding is {kind!r}{nearest(str(kind), ('deconvolution', 'resnet'))}.")
