"""Measurements of models."""

from gated_pixelcnn.evaluation.bits import BitsPerDim, MismatchedCondition, evaluate
from gated_pixelcnn.evaluation.images import Images

__all__ = ["BitsPerDim", "Images", "MismatchedCondition", "evaluate"]
