"""Gated PixelCNN and Conditional PixelCNN.

Source: "Conditional Image Generation with PixelCNN Decoders", van den Oord, Kalchbrenner, Vinyals,
Espeholt, Graves, Kavukcuoglu, 2016b, sections 2.1–2.4 and Figure 2.

What the paper leaves open, and our choice (docs/papers.md has all):
- first layer: a gated layer of both stacks with a kernel of its own, mask A, no residual;
- skips: 1×1 from every gate, summed into the head; the paper shows only the residual (option);
- head: ReLU → 1×1 → ReLU → 1×1;
- colours: every horizontal 1×1 is masked type B, contiguous groups within each half of 2p.

An option that the paper does not have is the causal self-attention of PixelSNAIL between blocks,
see `layers.causal_attention`.
"""

import functools
from typing import Any

import tensorflow as tf

from gated_pixelcnn.layers import (
    CausalAttention,
    GatedBlock,
    Head,
    SkipSum,
    initial_weights,
)
from gated_pixelcnn.layers.causal_attention import check_memory
from gated_pixelcnn.layers.gated_block import UNITS, check_options
from gated_pixelcnn.layers.masked_convolution import check_kernel_size
from gated_pixelcnn.models.autoregressive_model import AutoregressiveModel
from gated_pixelcnn.models.gated_pixelcnn_decoder import GatedPixelCNNDecoder, OneStackDecoder
from gated_pixelcnn.models.registry import register
from gated_pixelcnn.sampling import CachedDecoder
from gated_pixelcnn.spec import Array


@register("gated_pixelcnn")
class GatedPixelCNN(AutoregressiveModel):
    """A stack of gated blocks (Figure 2) between an image and the parameters of its likelihood."""

    has_whole_rows = True

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 256,
        features: int = 96,
        layers: int = 12,
        kernel_size: int = 3,
        first_kernel_size: int = 7,
        head_features: int | None = None,
        residual: bool = True,
        skips: bool = True,
        vertical_residual: bool = False,
        gate: str = "tanh_sigmoid",
        stacks: int = 2,
        dropout: float = 0.0,
        attention_every: int = 0,
        attention_heads: int = 4,
        attention_features: int = 16,
        **kwargs: Any,
    ) -> None:
        """Makes the model.

        Args:
          image_shape: (H, W, C).
          levels: number of values per colour, 2…65,536.
          features: p, feature maps of each stack; a multiple of the number of colour groups.
          layers: number of gated blocks, the first one included.
          kernel_size: n of the blocks after the first, odd.
          first_kernel_size: n of the first block, odd.
          head_features: maps between the head's 1×1 convolutions; as many as `features` by default.
          residual: whether the horizontal stack has residual connections.
          skips: whether every block's gate is connected to the head.
          vertical_residual: whether the vertical stack has residual connections, too.
          gate: "tanh_sigmoid" (equation 2), or "relu": p maps and not 2p before it.
          stacks: 2, or 1, which sees the rows above through its own features and has a blind spot.
          dropout: share of the gates' outputs that is dropped in training; the paper has none.
          attention_every: k, below `layers`: causal self-attention follows every k-th block but the
            last one, in the horizontal stack; 0 for none.
          attention_heads: heads of each colour group.
          attention_features: of a head's queries, keys and values.
          **kwargs: those of `AutoregressiveModel` (likelihood, condition, …) and of Keras.

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(image_shape, levels, **kwargs)
        if layers < 1:
            raise ValueError(f"layers must be at least 1, got {layers}.")
        check_options(gate, stacks, vertical_residual, dropout)
        if stacks == 1:
            check_kernel_size(kernel_size)
            check_kernel_size(first_kernel_size, "first_kernel_size")
        if not 0 <= attention_every < layers:
            raise ValueError(
                f"attention_every must be 0 (none) or 1…{layers - 1}, as nothing would read what "
                f"follows the last of {layers} layers; got {attention_every}."
            )
        head_features = head_features or features
        self.features, self.stacks = features, stacks
        colours, policy = self.colours, self.dtype_policy
        self.blocks = [
            GatedBlock(
                features,
                kernel_size if i else first_kernel_size,
                index=i,
                layers=layers,
                colours=colours,
                residual=residual,
                vertical_residual=vertical_residual,
                gate=gate,
                stacks=stacks,
                horizontal_output=i < layers - 1 or not skips,
                dropout=dropout,
                name=f"block_{i}",
                dtype=policy,
            )
            for i in range(layers)
        ]
        if attention_every:
            check_memory(self.image_shape, attention_heads, colours)
        self.attentions = [  # after each block one or None
            CausalAttention(
                features,
                attention_heads,
                attention_features,
                colours,
                layers=layers,
                gate=gate,
                dropout=dropout,
                name=f"attention_{i}",
                dtype=policy,
            )
            if attention_every and (i + 1) % attention_every == 0 and i < layers - 1
            else None
            for i in range(layers)
        ]
        self.skips = None
        if skips:
            scale = 1 / UNITS[gate].moment(2 * initial_weights.PART)
            self.skips = SkipSum(head_features, colours, scale, name="skips", dtype=policy)
        sizes, exact = (head_features, self.output_features, colours), self.likelihood.is_logistic
        self.head = Head(*sizes, exact=exact, name="head", dtype=policy)

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights, see `AutoregressiveModel.build`."""
        image = vertical = horizontal = (None, *self.image_shape[:2], self.input_features)
        maps = (*vertical[:-1], self.features)
        condition = None
        if self.condition_map is not None:
            condition = (None, None, None, self.condition_map.output_features)
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            block.build(vertical, horizontal, condition)
            vertical = horizontal = maps
            if attention is not None:
                attention.build(maps, image)
        if self.skips is not None:
            self.skips.build([maps] * len(self.blocks))
            maps = (*maps[:-1], self.skips.filters)
        self.head.build(maps)
        super().build()

    def parameter_map(self, x: Array, condition: Array | None, training: bool = False) -> tf.Tensor:
        """See `AutoregressiveModel.parameter_map`."""
        vertical = horizontal = x
        gates = []
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            block = self.rematerialised(functools.partial(block, training=training))
            vertical, horizontal, gated = block(vertical, horizontal, condition)
            gates.append(gated)
            if attention is not None:
                attention = functools.partial(attention, training=training)
                run = self.rematerialised(lambda *inputs, run=attention: (run(*inputs),))
                (horizontal,) = run(horizontal, x)
                vertical = vertical if self.stacks == 2 else horizontal
        return self.head(horizontal if self.skips is None else self.skips(gates))

    def cached_decoder(self, num: int | tf.Tensor, condition: Array | None) -> CachedDecoder:
        """See `AutoregressiveModel.cached_decoder`."""
        kind = GatedPixelCNNDecoder if self.stacks == 2 else OneStackDecoder
        return kind(self, num, condition)
