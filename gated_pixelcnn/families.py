"""The model families, by the names that configurations use for them (`model.family`)."""

from gated_pixelcnn.models.embedding import Embedding
from gated_pixelcnn.models.gated_pixelcnn import GatedPixelCNN

FAMILIES = {"gated_pixelcnn": GatedPixelCNN, "embedding": Embedding}
