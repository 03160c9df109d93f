"""A hierarchy of codes: a prior of the top map, and one of the bottom map given the top map.

    p(top, bottom) = p(top) p(bottom | top)

Both maps are of categories, and any family may be either. Nothing is left out or said twice, so
log-probabilities are exact.

Source: "Generating Diverse High-Fidelity Images with VQ-VAE-2" (Razavi et al., 2019), section 3.2:
a prior of the top map, and a conditional of the bottom map given maps of the top map, which a
residual network makes of its codes.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from gated_pixelcnn.code_maps import code_factor
from gated_pixelcnn.layers import ops
from gated_pixelcnn.layers.code_embedding import CodeEmbedding
from gated_pixelcnn.models.registry import register
from gated_pixelcnn.models.two_stage_model import PART, TwoStageModel
from gated_pixelcnn.spec import CATEGORICAL, Array, ImageSpec, condition_spec


@register("code_hierarchy")
class CodeHierarchy(TwoStageModel):
    """A prior of top maps and a conditional of bottom maps, see `TwoStageModel`.

    Its images are both maps as one array [N, h, w, 1 + f²], see `pack_codes`. Completing them, it
    draws the top map first: what is known of the bottom map has no influence on it.

    Attributes:
      factor: f, how many times the bottom map is higher and wider than the top map.
    """

    terms = ("top map", "bottom map")

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 512,
        values: str = CATEGORICAL,
        prior: dict = PART,
        conditional: dict = PART,
        embedding_features: int = 32,
        embedding_blocks: int = 3,
        condition: str | None = None,
        condition_size: int = 0,
        condition_names: Sequence[str] = (),
        spatial_features: int = 0,
        train_only: str = "",
        **kwargs: Any,
    ) -> None:
        """Makes the model.

        Args:
          image_shape: (h, w, 1 + f²), of top maps of h×w and bottom maps f times as large.
          levels: number of codes of both maps, 2…65,536.
          values: "categorical".
          prior: family of the prior of top maps and its arguments, without its condition.
          conditional: the same of the conditional of bottom maps.
          embedding_features: maps that the conditional sees of a top map.
          embedding_blocks: residual blocks that make them.
          condition: None, "label" or "vector", of both submodels.
          condition_size: number of classes or length of the vector.
          condition_names: names of the classes in the order of the labels, or of the entries of
            the vector, if they are known.
          spatial_features: maps of m(h) beside those of the top map; 0: the conditional sees the
            label or the vector itself, the same at all positions.
          train_only: "prior" or "conditional": only this submodel is trained, by its own term; "":
            both. They share no weight and may be trained at the same time, see `take_prior`.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(**kwargs)
        if values != CATEGORICAL:
            raise ValueError(f"values of a hierarchy of codes must be 'categorical', got {values}.")
        if condition not in (None, "label", "vector"):
            raise ValueError(
                f"condition of a hierarchy of codes must be None, 'label' or 'vector', got "
                f"{condition!r}."
            )
        self.image_spec = ImageSpec(image_shape, levels, values)
        self.factor = code_factor(self.image_shape)
        self.condition_spec = condition_spec(
            condition, condition_size, self.image_spec, condition_names
        )
        height, width, _ = self.image_shape
        self._make(
            ImageSpec((height, width, 1), levels, values),
            ImageSpec((height * self.factor, width * self.factor, 1), levels, values),
            CodeEmbedding(
                levels,
                embedding_features,
                embedding_blocks,
                self.factor,
                name="embedding",
                dtype=self.dtype_policy,
            ),
            prior,
            conditional,
            spatial_features,
            train_only,
        )

    def parts_of(self, images: Array) -> tuple[tf.Tensor, tf.Tensor]:
        """See `TwoStageModel`: top and bottom maps, as `unpack_codes`, with a last axis."""
        top, bottom = ops.unpack_codes(images, self.image_shape)
        return top[..., tf.newaxis], bottom[..., tf.newaxis]

    def whole(self, view: tf.Tensor, rest: tf.Tensor) -> tf.Tensor:
        """See `TwoStageModel`: as `pack_codes`."""
        return ops.pack_codes(view[..., 0], rest[..., 0], self.image_shape)

    def value_log_prob_of(
        self, images: Array, condition: Array | None = None, training: bool = False
    ) -> tf.Tensor:
        """See `DensityModel`."""
        view, rest = self.parts_of(images)
        maps = self.maps(view, condition)
        return self.whole(
            self.prior.value_log_prob_of(view, condition, training),
            self.conditional.value_log_prob_of(rest, maps, training),
        )

    def shown(self, view: Array) -> tf.Tensor:
        """See `TwoStageModel`: the codes themselves."""
        return view
