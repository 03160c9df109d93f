"""Building blocks, each a Keras layer usable alone, one file per figure or idea of a paper."""

from gated_pixelcnn.layers.autoregressive_flow import AutoregressiveFlow
from gated_pixelcnn.layers.categories import Categories
from gated_pixelcnn.layers.causal_attention import CausalAttention
from gated_pixelcnn.layers.code_networks import CodeDecoder, CodeEncoder
from gated_pixelcnn.layers.condition import Condition, Deconvolution
from gated_pixelcnn.layers.diagonal_lstm import DiagonalBiLSTM, DiagonalLSTM
from gated_pixelcnn.layers.encoder import Encoder
from gated_pixelcnn.layers.gated_block import GatedBlock, gate
from gated_pixelcnn.layers.gated_resnet import GatedResnet, ShiftedConv2D
from gated_pixelcnn.layers.head import Head, SkipSum
from gated_pixelcnn.layers.ladder_block import LadderBlock
from gated_pixelcnn.layers.latent_network import LatentNetwork
from gated_pixelcnn.layers.masked_block import MaskedBlock
from gated_pixelcnn.layers.masked_convolution import MaskedConv2D
from gated_pixelcnn.layers.row_lstm import RowLSTM
from gated_pixelcnn.layers.shifted_convolutions import (
    HorizontalConv2D,
    PointwiseConv2D,
    VerticalConv2D,
)
from gated_pixelcnn.layers.top_map import TopMap
from gated_pixelcnn.layers.upsampler import Upsampler
from gated_pixelcnn.layers.vector_quantizer import VectorQuantizer
from gated_pixelcnn.layers.view_embedding import ViewEmbedding
from gated_pixelcnn.layers.weight_norm import NormalisedConv2D, NormalisedDeconv2D

__all__ = [
    "AutoregressiveFlow",
    "Categories",
    "CausalAttention",
    "CodeDecoder",
    "CodeEncoder",
    "Condition",
    "Deconvolution",
    "DiagonalBiLSTM",
    "DiagonalLSTM",
    "Encoder",
    "GatedBlock",
    "GatedResnet",
    "Head",
    "HorizontalConv2D",
    "LadderBlock",
    "LatentNetwork",
    "MaskedBlock",
    "MaskedConv2D",
    "NormalisedConv2D",
    "NormalisedDeconv2D",
    "PointwiseConv2D",
    "RowLSTM",
    "ShiftedConv2D",
    "SkipSum",
    "TopMap",
    "Upsampler",
    "VectorQuantizer",
    "VerticalConv2D",
    "ViewEmbedding",
    "gate",
]
