"""Short trainings of AGAVE, for tests."""

import tempfile

import gated_pixelcnn as gpc

OVERRIDES = [
    "data.source=embedded:digits8",
    "data.levels=16",
    "model.features=4",
    "model.blocks=1",
    "model.latents=2",
    "model.halvings=1",
    "model.stream_features=3",
    "model.decoder.features=4",
    "model.decoder.layers=2",
    "model.decoder.first_kernel_size=3",
    "train.batch_size=8",
    "train.steps=4",
    "train.log_every=2",
    "train.eval_every=2",
    "train.eval_images=10",
    "train.samples=0",
]
SHORT = ["train.steps=1", "train.eval_every=0"]
# The presets with another decoder, of which graphs are traced in a moment.
PRESET = """
import gated_pixelcnn as gpc

def get_config():
    config = gpc.get_config("{preset}").to_dict()
    config["model"]["decoder"] = dict(family="gated_pixelcnn")
    return config
"""


def config(*changes, preset="agave"):
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(PRESET.format(preset=preset))
        file.flush()
        return gpc.get_config(file.name, [*OVERRIDES, *changes])
