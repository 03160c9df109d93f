"""Small models and their SavedModels, for the tests of what is exported."""

import dataclasses
import functools
import io
import sys
from pathlib import Path

import keras
import numpy as np
from PIL import Image
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

import gated_pixelcnn as gpc
from gated_pixelcnn.runs.directory import checked_record, record
from gated_pixelcnn.serving.export import write

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from request_trials.server import InSession  # noqa: E402, F401  a SavedModel as a server has it

MAX_IMAGES = 6
SMALL = {"features": 6, "layers": 2, "kernel_size": 3, "first_kernel_size": 3, "components": 3}
# Image shape and arguments of the model.
KINDS = {
    "none": ((5, 7, 1), {"levels": 256}),
    "label": ((5, 7, 3), {"levels": 4, "condition": "label", "condition_size": 3}),
    "vector": (
        (7, 5, 1),
        {"levels": 2, "likelihood": "bernoulli", "condition": "vector", "condition_size": 2},
    ),
    "spatial": (
        (5, 7, 3),
        {"levels": 256, "likelihood": "mixture", "condition": "spatial", "condition_size": 2},
    ),
    "map": (
        (5, 7, 1),
        {"levels": 16, "likelihood": "logistic", "condition": "label", "condition_size": 3}
        | {"spatial_features": 2},
    ),
    "image": (
        (7, 5, 1),
        {"levels": 4, "condition": "image", "code_size": 2, "encoder_features": 4},
    ),
    "two colours": ((3, 4, 2), {"levels": 3}),
}


@dataclasses.dataclass
class Exported:
    """A model, its SavedModel, and images with conditions for both."""

    model: gpc.GatedPixelCNN
    path: Path

    @functools.cached_property
    def saved(self):
        return gpc.load_saved_model(self.path)

    def call(self, signature, **inputs):
        """Calls a signature as a server does, by the names of its inputs."""
        outputs = self.saved.signatures[signature](**inputs)
        return {name: output.numpy() for name, output in outputs.items()}

    def images(self, num, seed=0):
        random = np.random.default_rng(seed)
        return random.integers(0, self.model.levels, (num, *self.model.image_shape)).astype(
            np.uint8
        )

    def condition(self, num, seed=0):
        """The condition as an input of signatures: a dict of one array, or of none."""
        random, size = np.random.default_rng(seed), self.model.condition_size
        shape = (num, *self.model.image_shape[:2], size)
        return {
            None: {},
            "label": {"label": np.arange(num, dtype=np.int32) % max(size, 1)},
            "vector": {"vector": random.normal(size=(num, size)).astype(np.float32)},
            "spatial": {"spatial": random.normal(size=shape).astype(np.float32)},
            "image": {"image": self.images(num, seed + 7)},
        }[self.model.condition_kind]

    def how_many(self, num):
        """What tells `sample` the number of images."""
        return self.condition(num) or {"num": np.int32(num)}


def of_kind(condition):
    """The condition as an argument of a model's methods."""
    return next(iter(condition.values()), None)


def export_small(kind, path):
    """Exports a small model of KINDS with random weights, biases too."""
    shape, arguments = KINDS[kind]
    keras.utils.set_random_seed(1)
    model = gpc.GatedPixelCNN(shape, **SMALL, **arguments)
    model.build()
    random = np.random.default_rng(0)
    for weight in model.trainable_variables:
        fan = np.prod(weight.shape[:-1]) or 1
        weight.assign(random.normal(size=weight.shape) * (1.5 / np.sqrt(fan)))
    of_run = record(gpc.get_config("digits"), shape, model.levels, model.condition_size)
    write(model, checked_record(of_run), path, MAX_IMAGES)
    return Exported(model, Path(path))


def graph_of(path):
    """The MetaGraphDef of a SavedModel."""
    return SavedModel.FromString((Path(path) / "saved_model.pb").read_bytes()).meta_graphs[0]


def encoded(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def picture(shape):
    """A picture with edges and colours, which tell decoders apart."""
    height, width, channels = shape
    slope = np.add.outer(np.arange(height) * 20, np.arange(width) * 15)[..., None]
    pixels = (slope + np.random.default_rng(0).integers(0, 90, shape)).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
