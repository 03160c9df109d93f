"""The model families, by the names that configurations use for them (`model.family`)."""

from gated_pixelcnn.models.agave import AGAVE
from gated_pixelcnn.models.auxiliary import AuxiliaryModel
from gated_pixelcnn.models.diagonal_bilstm import DiagonalBiLSTMModel
from gated_pixelcnn.models.embedding import Embedding
from gated_pixelcnn.models.gated_pixelcnn import GatedPixelCNN
from gated_pixelcnn.models.mse_autoencoder import MSEAutoencoder
from gated_pixelcnn.models.pixelcnn import PixelCNN
from gated_pixelcnn.models.pixelcnn_pp import PixelCNNPP
from gated_pixelcnn.models.row_lstm import RowLSTMModel
from gated_pixelcnn.models.vae import VAE

FAMILIES = {
    "gated_pixelcnn": GatedPixelCNN,
    "pixelcnn": PixelCNN,
    "row_lstm": RowLSTMModel,
    "diagonal_bilstm": DiagonalBiLSTMModel,
    "pixelcnn_pp": PixelCNNPP,
    "embedding": Embedding,
    "mse_autoencoder": MSEAutoencoder,
    "auxiliary": AuxiliaryModel,
    "vae": VAE,
    "agave": AGAVE,
}
