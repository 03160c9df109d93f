"""Short trainings of Grayscale and Pyramid PixelCNN, for tests."""

import gated_pixelcnn as gpc

SMALL = ["features=4", "blocks=1", "scales=1"]
OVERRIDES = [
    "data.image_size=8",
    "data.memory_limit_mb=0",
    "model.embedding_features=3",
    "model.embedding_blocks=1",
    "model.embedding_scales=1",
    *(f"model.conditional.{value}" for value in SMALL),
    "train.batch_size=8",
    "train.steps=4",
    "train.log_every=2",
    "train.eval_every=2",
    "train.eval_images=10",
    "train.samples=0",
]
GRAY = ["grayscale", [*OVERRIDES, *(f"model.prior.{value}" for value in SMALL)]]
PYRAMID = [
    "pyramid",
    [
        *OVERRIDES,
        *(f"model.prior.prior.{value}" for value in SMALL),
        *(f"model.prior.conditional.{value}" for value in SMALL),
        "model.prior.embedding_features=3",
        "model.prior.embedding_blocks=1",
        "model.prior.embedding_scales=1",
    ],
]


def train(workdir, preset, overrides, *changes):
    gpc.train(gpc.get_config(preset, [*overrides, *changes]), workdir)
    return workdir
