"""The names of the package for type checkers, which do not run its `__getattr__`."""

from typing import Any

from gated_pixelcnn.code_maps import pack_codes as pack_codes
from gated_pixelcnn.code_maps import unpack_codes as unpack_codes
from gated_pixelcnn.configs import get_config as get_config
from gated_pixelcnn.configs import list_presets as list_presets
from gated_pixelcnn.errors import UserError as UserError
from gated_pixelcnn.evaluation import evaluate as evaluate
from gated_pixelcnn.likelihoods import Bernoulli as Bernoulli
from gated_pixelcnn.likelihoods import Categorical as Categorical
from gated_pixelcnn.likelihoods import DiscretizedLogistic as DiscretizedLogistic
from gated_pixelcnn.likelihoods import DiscretizedLogisticMixture as DiscretizedLogisticMixture
from gated_pixelcnn.likelihoods import IndependentCategorical as IndependentCategorical
from gated_pixelcnn.models.families.agave import AGAVE as AGAVE
from gated_pixelcnn.models.families.auxiliary import AuxiliaryModel as AuxiliaryModel
from gated_pixelcnn.models.families.code_hierarchy import CodeHierarchy as CodeHierarchy
from gated_pixelcnn.models.families.diagonal_bilstm import (
    DiagonalBiLSTMModel as DiagonalBiLSTMModel,
)
from gated_pixelcnn.models.families.embedding import Embedding as Embedding
from gated_pixelcnn.models.families.gated_pixelcnn import GatedPixelCNN as GatedPixelCNN
from gated_pixelcnn.models.families.mse_autoencoder import MSEAutoencoder as MSEAutoencoder
from gated_pixelcnn.models.families.pixelcnn import PixelCNN as PixelCNN
from gated_pixelcnn.models.families.pixelcnn_pp import PixelCNNPP as PixelCNNPP
from gated_pixelcnn.models.families.row_lstm import RowLSTMModel as RowLSTMModel
from gated_pixelcnn.models.families.vae import VAE as VAE
from gated_pixelcnn.models.families.vq_prior import VQPrior as VQPrior
from gated_pixelcnn.models.families.vq_vae import VQVAE as VQVAE
from gated_pixelcnn.runs.build import build_model as build_model
from gated_pixelcnn.runs.load import load as load
from gated_pixelcnn.serving import export as export
from gated_pixelcnn.serving import load_saved_model as load_saved_model
from gated_pixelcnn.spec import ConditionSpec as ConditionSpec
from gated_pixelcnn.spec import ImageSpec as ImageSpec
from gated_pixelcnn.spec import condition_spec as condition_spec
from gated_pixelcnn.training.train import train as train

__version__: str

def __getattr__(name: str) -> Any: ...  # a family that is not named here
