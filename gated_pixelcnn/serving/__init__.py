"""From a trained run to a SavedModel, and from that to a model for evaluation and sampling."""

from gated_pixelcnn.serving.export import export
from gated_pixelcnn.serving.saved_model import load_saved_model

__all__ = ["export", "load_saved_model"]
