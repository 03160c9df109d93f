"""TensorFlow Serving in the tests: SavedModels behind two small servers of its messages and JSON.

TensorFlow Serving is not among the packages that pip can install. Two small servers answer instead,
in its own messages (tensorflow-serving-api) and JSON. They run the SavedModel as it does: a session
is fed with what the request holds, by the names in the signature, and no Python is in between.
"""

import base64
import importlib.util
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import gated_pixelcnn as gpc
from gated_pixelcnn.runs import directory
from gated_pixelcnn.serving.export import write

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples" / "serving"
LEVELS = 4
SIZES = {"label": 3, "vector": 2, "spatial": 2}
CASES = [("label", 3), ("image", 1)]  # the last is an autoencoder
LEFT = [(None, 1), (None, 3), ("label", 1), ("vector", 3), ("spatial", 1)]
every_case = pytest.mark.parametrize(
    "case", [*CASES, *(pytest.param(case, marks=pytest.mark.slow) for case in LEFT)], ids=str
)
SCORES = {"log_prob", "value_log_prob", "log_prob_bytes"}


def export(path, condition, shape, levels, size):
    """An exported model of few and random weights."""
    overrides = ["features=6", "layers=2", "first_kernel_size=3", f"condition={condition}".lower()]
    overrides += ["code_size=2", "encoder_features=4"] if condition == "image" else []
    config = gpc.get_config("digits", [f"model.{value}" for value in overrides])
    keras.utils.set_random_seed(1)
    model = gpc.build_model(config, shape, levels, size or None)
    for weight in model.weights:
        weight.assign(weight + 0.1 * tf.random.normal(weight.shape))
    record = directory.record(config, shape, levels, size)
    write(model, {**record, "config": config}, path)
    return gpc.load_saved_model(path)


def load_example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Server:
    """Runs a SavedModel as TensorFlow Serving does."""

    def __init__(self, model):
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], str(model.path))
        self.signatures = loaded.signature_def

    def check(self, name, inputs):
        """Refuses a request that lacks an input or has one too many."""
        if inputs.keys() != self.signatures[name].inputs.keys():
            message = "input size does not match signature"
            raise tf.errors.InvalidArgumentError(None, None, message)

    def run(self, name, arrays):
        """The outputs of a signature for its inputs, name → array."""
        self.check(name, arrays)
        signature = self.signatures[name]
        assert signature.method_name == "tensorflow/serving/predict"
        feeds = {signature.inputs[key].name: array for key, array in arrays.items()}
        fetches = {key: output.name for key, output in signature.outputs.items()}
        return self._session.run(fetches, feeds)


def inputs_of(function):
    return function.structured_input_signature[1]


def pictures(model, num):
    return np.random.default_rng(3).integers(0, LEVELS, (num, *model.image_shape)).astype(np.uint8)


def png(image):
    return tf.io.encode_png(image * np.uint8(256 // LEVELS)).numpy()


def from_json(value, dtype):
    """A JSON value as an input; like TensorFlow Serving it takes numbers only of the right kind."""
    kinds = {tf.bool: (bool,), tf.float32: (int, float), tf.string: (dict,)}.get(dtype, (int,))
    array = np.array(value, object)
    if not all(type(leaf) in kinds for leaf in array.flat):
        raise ValueError(f"JSON Value is not of expected type: {dtype.name}")
    if dtype == tf.string:
        return np.array([base64.b64decode(leaf["b64"], validate=True) for leaf in array], object)
    return array.astype(dtype.as_numpy_dtype)


def answer(server, url, body):
    """The answer to a request in columns: HTTP status, JSON."""
    if url not in ("/v1/models/digits/labels/stable:predict", "/v1/models/digits:predict"):
        return 404, {"error": f"Servable not found for request: {url}"}
    request = json.loads(body)
    name = request.get("signature_name", "serving_default")
    try:
        server.check(name, request["inputs"])
        infos = server.signatures[name].inputs
        inputs = {
            key: from_json(value, tf.as_dtype(infos[key].dtype))
            for key, value in request["inputs"].items()
        }
        outputs = server.run(name, inputs)
    except (tf.errors.InvalidArgumentError, ValueError) as error:
        return 400, {"error": str(error)}
    outputs = {key: value.tolist() for key, value in outputs.items()}
    return 200, {"outputs": outputs if len(outputs) > 1 else next(iter(outputs.values()))}
