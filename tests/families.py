"""All families and their sizes: the one list that tests of every family go through.

A new family is one line of FAMILIES, see `family`. What does not depend on the size is tested with
`build`, of the smallest ones; the conformance suite builds the larger ones, see `conformance`.
"""

import keras
import numpy as np
import tensorflow as tf
from family import STACK, Family

from gated_pixelcnn.models.families.agave import AGAVE
from gated_pixelcnn.models.families.auxiliary import AuxiliaryModel
from gated_pixelcnn.models.families.code_hierarchy import CodeHierarchy
from gated_pixelcnn.models.families.diagonal_bilstm import DiagonalBiLSTMModel
from gated_pixelcnn.models.families.embedding import Embedding
from gated_pixelcnn.models.families.gated_pixelcnn import GatedPixelCNN
from gated_pixelcnn.models.families.mse_autoencoder import MSEAutoencoder
from gated_pixelcnn.models.families.pixelcnn import PixelCNN
from gated_pixelcnn.models.families.pixelcnn_pp import PixelCNNPP
from gated_pixelcnn.models.families.row_lstm import RowLSTMModel
from gated_pixelcnn.models.families.vae import VAE
from gated_pixelcnn.models.families.vq_prior import VQPrior
from gated_pixelcnn.models.families.vq_vae import VQVAE
from gated_pixelcnn.models.latent_variable import LatentVariableModel

SINGLE_STACK = {"has_blind_spot": True, "weights": 0.7}
SMALL = {"features": 12, "layers": 3, "kernel_size": 3, "first_kernel_size": 3}
PLUS_PLUS = {"features": 6, "blocks": 1, "scales": 2, "dropout": 0.0}
ATTENTION = {"attention_every": 1, "attention_heads": 2, "attention_features": 3}
DIAGONAL = {"features": 12, "layers": 2, "first_kernel_size": 3}
# Models of models.
PART = {"family": "gated_pixelcnn", "features": 6, "layers": 2, "first_kernel_size": 3}
PLUS_PLUS_PART = {"family": "pixelcnn_pp", **PLUS_PLUS, "features": 4, "scales": 1}
LATENT = {"features": 6, "blocks": 2, "latents": 2, "halvings": 1, "free_bits": 0.0}
DECODERS = {
    "gated_pixelcnn": PART | {"kernel_size": 3},
    "pixelcnn_pp": PLUS_PLUS_PART | {"scales": 2, "components": 2},
}
SMALL_PART = {"family": "gated_pixelcnn", **STACK}
SMALL_LATENT = {"features": 4, "blocks": 1, "latents": 1}
QUANTISED = {
    **{"codes": 5, "code_features": 3, "features": 6, "blocks": 1, "block_features": 4},
    "halvings": 1,
}
TWO_MAPS = {"maps": 2, "features": 16}  # enough that not all of the top map are dead ReLUs
TOKENIZER = {"family": "vq_vae", **QUANTISED}
SMALL_ENCODER = {"code_size": 3, "encoder_features": 4}
WHOLE = {"weights": 1.0, "values": ("gray", "colour"), "even": True, "conditions": ("none",)}


def submodels(part, conditional=None, **arguments):
    """Arguments of a model of two submodels."""
    both = {"prior": part, "conditional": conditional or part, "embedding_features": 3}
    return both | arguments


OF_PARTS = {
    "values": ("gray", "colour"),
    "even": True,
    "conditions": ("label", "none", "vector", "label-map"),
}
RESNET = {"embedding": "resnet", "embedding_blocks": 1}

FAMILIES = {
    "gated_pixelcnn": Family(GatedPixelCNN, SMALL),
    "pixelcnn": Family(PixelCNN, SMALL, **SINGLE_STACK),
    "row_lstm": Family(RowLSTMModel, SMALL | {"layers": 2}, **SINGLE_STACK),
    "diagonal_bilstm": Family(DiagonalBiLSTMModel, DIAGONAL, **SINGLE_STACK),
    "pixelcnn_pp": Family(
        PixelCNNPP,
        PLUS_PLUS,
        {"features": 3, "blocks": 1, "scales": 1, "components": 2},
        weights=0.7,
        values=("gray", "mixture"),
        even=True,
        conditions=("spatial", "label-map"),  # maps go through the scales
    ),
    "auxiliary": Family(
        AuxiliaryModel,
        submodels(PART),
        {"prior": SMALL_PART, "conditional": SMALL_PART, "embedding_features": 2},
        **OF_PARTS,
    ),
    "vae": Family(VAE, LATENT, SMALL_LATENT, **WHOLE),
    "agave": Family(
        AGAVE,
        {**LATENT, "decoder": DECODERS["gated_pixelcnn"], "stream_features": 3},
        {**SMALL_LATENT, "decoder": SMALL_PART, "stream_features": 2},
        **WHOLE,
    ),
    "vq_vae": Family(
        VQVAE, QUANTISED, QUANTISED | {"features": 4, "blocks": 0}, **WHOLE | {"weights": 0.7}
    ),
    "vq_prior": Family(
        VQPrior,
        {"tokenizer": TOKENIZER, "prior": PART},
        {"tokenizer": TOKENIZER, "prior": SMALL_PART | {"embedding_size": 2}},
        **WHOLE | {"weights": 0.7, "conditions": ("label", "none", "vector")},
    ),
    "code_hierarchy": Family(
        CodeHierarchy,
        submodels(PART | {"embedding_size": 3}),
        submodels(SMALL_PART | {"embedding_size": 2}),
        values=("two maps",),
        conditions=OF_PARTS["conditions"],
        shape=(2, 2, 5),
    ),
    "embedding": Family(Embedding, SMALL_ENCODER, SMALL_ENCODER | {"images_per_class": 2}, **WHOLE),
    "mse_autoencoder": Family(
        MSEAutoencoder,
        SMALL_ENCODER | {"decoder_features": 5},
        SMALL_ENCODER | {"decoder_features": 3},
        **WHOLE,
    ),
}
MAIN = tuple(FAMILIES)
# Options of the families, for fewer kinds of values.
VARIANT = ("colour", "gray")
CODES = {"values": "categorical", "embedding_size": 3}
OF_CODES = ("none", "label", "spatial", "vector-map")  # no image has a code of codes
FAMILIES |= {
    "gated_pixelcnn-5x5": Family(GatedPixelCNN, SMALL | {"kernel_size": 5}, values=VARIANT),
    "pixelcnn-skips": Family(
        PixelCNN, SMALL | {"skips": True, "kernel_size": 5}, values=VARIANT, **SINGLE_STACK
    ),
    "row_lstm-skips": Family(
        RowLSTMModel,
        SMALL | {"layers": 2, "skips": True, "residual": False},
        values=("colour",),
        **SINGLE_STACK,
    ),
    "diagonal_bilstm-skips": Family(
        DiagonalBiLSTMModel,
        DIAGONAL | {"skips": True, "residual": False},
        values=("colour",),
        **SINGLE_STACK,
    ),
    "gated_pixelcnn-no-skips": Family(GatedPixelCNN, SMALL | {"skips": False}, values=VARIANT),
    "gated_pixelcnn-relu": Family(
        GatedPixelCNN,
        SMALL | {"gate": "relu", "vertical_residual": True},
        values=VARIANT,
        weights=0.7,
    ),
    "gated_pixelcnn-one-stack": Family(
        GatedPixelCNN, SMALL | {"stacks": 1}, values=VARIANT, has_blind_spot=True
    ),
    "gated_pixelcnn-attention": Family(
        GatedPixelCNN,
        SMALL | ATTENTION,
        values=("colour", "gray", "mixture"),
        weights=1.0,
        conditions=("label", "none", "spatial"),
    ),
    "gated_pixelcnn-one-stack-attention": Family(
        GatedPixelCNN,
        SMALL | ATTENTION | {"stacks": 1, "gate": "relu", "skips": False},
        values=VARIANT,
        has_blind_spot=True,
        weights=0.7,
        conditions=("none", "vector"),
    ),
    "gated_pixelcnn-independent": Family(
        GatedPixelCNN, SMALL, values=("independent",), conditions=("label",)
    ),
    "gated_pixelcnn-codes": Family(
        GatedPixelCNN,
        SMALL | CODES,
        values=(*VARIANT, "300 codes", "5000 codes"),
        conditions=OF_CODES,
    ),
    "gated_pixelcnn-tied-codes": Family(
        GatedPixelCNN,
        SMALL | CODES | {"tied": True},
        values=("colour", "independent"),
        conditions=OF_CODES,
    ),
    "pixelcnn-codes": Family(
        PixelCNN, SMALL | CODES, values=("colour",), conditions=OF_CODES, **SINGLE_STACK
    ),
    "row_lstm-codes": Family(
        RowLSTMModel,
        SMALL | {"layers": 2} | CODES,
        values=("colour",),
        conditions=OF_CODES,
        **SINGLE_STACK,
    ),
    "diagonal_bilstm-codes": Family(
        DiagonalBiLSTMModel,
        DIAGONAL | CODES,
        values=("colour",),
        conditions=OF_CODES,
        **SINGLE_STACK,
    ),
    "pixelcnn_pp-codes": Family(
        PixelCNNPP, PLUS_PLUS | CODES, values=("gray",), weights=0.7, even=True, conditions=OF_CODES
    ),
    "pixelcnn_pp-1-scale": Family(
        PixelCNNPP, PLUS_PLUS | {"scales": 1, "blocks": 2}, values=("mixture",), weights=0.7
    ),
    "pixelcnn_pp-3-scales": Family(  # 1×2 pixels at the last one
        PixelCNNPP,
        PLUS_PLUS | {"scales": 3},
        values=("mixture",),
        weights=0.7,
        even=True,
    ),
    "auxiliary-three-scales": Family(
        AuxiliaryModel,
        submodels({"family": "auxiliary", **submodels(PART)}, PART),
        values=("wide",),
        conditions=("label",),
    ),
    "auxiliary-gray": Family(
        AuxiliaryModel,
        submodels(PLUS_PLUS_PART, PLUS_PLUS_PART | {"scales": 2}, transform="grayscale", **RESNET),
        values=("colour",),
        even=True,
        conditions=("label",),
    ),
    "auxiliary-pyramid": Family(
        AuxiliaryModel,
        submodels(PLUS_PLUS_PART, **RESNET),
        values=("colour",),
        even=True,
        conditions=("none",),
    ),
    "auxiliary-pixelcnn": Family(
        AuxiliaryModel, submodels(PART | {"family": "pixelcnn"}), **OF_PARTS | {"values": ("gray",)}
    ),
    "auxiliary-row_lstm": Family(
        AuxiliaryModel,
        submodels(PART | {"family": "row_lstm", "layers": 1}),
        **WHOLE | {"values": ("gray",), "weights": 1.5},
    ),
    "auxiliary-diagonal_bilstm": Family(
        AuxiliaryModel,
        submodels(PART | {"family": "diagonal_bilstm", "layers": 1}),
        **WHOLE | {"values": ("gray",), "weights": 1.5},
    ),
    "vae-gaussian": Family(VAE, LATENT | {"posterior": "gaussian"}, **WHOLE),
    "agave-gaussian": Family(
        AGAVE,
        {
            **LATENT,
            "posterior": "gaussian",
            "decoder": DECODERS["gated_pixelcnn"],
            "stream_features": 3,
        },
        **WHOLE,
    ),
    "vq_vae-two-maps": Family(VQVAE, QUANTISED | TWO_MAPS, **WHOLE | {"weights": 0.7, "even": 2}),
    "vq_prior-two-maps": Family(
        VQPrior,
        {
            "tokenizer": TOKENIZER | TWO_MAPS,
            "prior": {"family": "code_hierarchy", **submodels(PART | {"embedding_size": 3})},
        },
        # A top map of more than one column.
        **WHOLE | {"weights": 0.7, "even": 3, "conditions": ("label", "none", "vector")},
    ),
    "vq_vae-mixture": Family(VQVAE, QUANTISED | {"likelihood": "mixture"}, **WHOLE),
    "agave-pixelcnn_pp": Family(
        AGAVE,
        {**LATENT, "decoder": DECODERS["pixelcnn_pp"], "stream_features": 3},
        **WHOLE,
    ),
}
EXACT = tuple(name for name, family in FAMILIES.items() if family.is_exact)
DENSITY = tuple(name for name, family in FAMILIES.items() if family.is_density)

LEVELS = 8  # of the smallest models


def build(family="gated_pixelcnn", image_shape=None, levels=LEVELS, **arguments):
    """The smallest model of a family, not built yet."""
    family = FAMILIES[family]
    return family.model(image_shape or family.shape, levels, **family.small | arguments)


def randomise(model, seed, size=1.5):
    """Other weights for the same model, of a size relative to what they are summed over."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        fan = np.prod(weight.shape[:-1]) or 1
        weight.assign(random.normal(size=weight.shape) * (size / np.sqrt(fan)))
    if isinstance(model, LatentVariableModel):  # of a size at which images differ by their z
        log_scales = model.network.log_scales
        log_scales.assign(random.uniform(-1.5, -0.5, log_scales.shape))
        contrast(model.network.resize[-1], 8)  # residuals count a tenth, and z is in one of them
    if isinstance(model, VQVAE | VQPrior):
        place_codes(model, random)


def place_codes(model, random):
    """Places codes where vectors are: images differ by them."""
    model = model if isinstance(model, VQVAE) else model.tokenizer
    x = random.uniform(-1, 1, (model.codes, *model.image_shape))
    maps = model.code_encoder.maps(tf.constant(x, model.compute_dtype))
    if model.top is not None:
        z = model.top.encoder(maps)
        model.top.quantizer.codebook.assign(np.asarray(z)[:, 0, 0])
        maps = tf.concat([maps, model.top.decoder(z)], axis=-1)
    z = model.code_encoder.vectors(maps)
    model.quantizer.codebook.assign(np.asarray(z)[:, 0, 0])


def contrast(layer, factor):
    """Makes what a layer with weight normalisation gives larger."""
    layer.length.assign(factor * layer.length)


def latent_model(
    family="agave", image_shape=(4, 6, 3), levels=8, decoder="gated_pixelcnn", **arguments
):
    """A model with latent variables and random weights, at the size of the conformance suite."""
    arguments = FAMILIES[family].arguments | {"dtype": "float64"} | arguments
    if family == "agave":
        arguments["decoder"] = DECODERS[decoder]
    keras.utils.set_random_seed(1)
    model = FAMILIES[family].model(image_shape, levels, **arguments)
    model.build()
    randomise(model, 0, FAMILIES[family].weights)
    return model


def images_of(model, num=6, seed=0):
    """Random images."""
    random = np.random.default_rng(seed)
    dtype = model.image_spec.dtype.as_numpy_dtype
    return random.integers(0, model.levels, (num, *model.image_shape)).astype(dtype)


def batch_of(model, num=6):
    """Images, and labels where the model is trained with some."""
    images = images_of(model, num)
    return (images, np.arange(num) % 3) if model.takes_labels else (images,)
