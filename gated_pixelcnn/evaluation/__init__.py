"""How well models predict images."""

from gated_pixelcnn.evaluation.scores import (
    classify,
    evaluate,
    filled_up,
    importance_weighted,
    mapped,
    score,
    split_batches,
)

__all__ = [
    "classify",
    "evaluate",
    "filled_up",
    "importance_weighted",
    "mapped",
    "score",
    "split_batches",
]
