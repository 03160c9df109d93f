"""What TensorFlow Serving finds in an export; the clients and files of docs/serving.md.

TensorFlow Serving is not among the packages that pip can install. Two small servers answer instead,
in its own messages (tensorflow-serving-api) and JSON. They run the SavedModel as it does: a session
is fed with what the request holds, by the names in the signature, and no Python is in between.
"""

import base64
import http.server
import importlib.util
import json
import re
import socketserver
import threading
from concurrent import futures
from pathlib import Path

import grpc
import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf import wrappers_pb2 as wrappers
from tensorflow_serving.apis import (
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

import gated_pixelcnn as gpc
from gated_pixelcnn.runs import directory
from gated_pixelcnn.serving import warm_up
from gated_pixelcnn.serving.export import MAX_IMAGES, write

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = DOCS / "examples" / "serving"
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


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(kind of condition, colours) → SavedModel; each is made when it is first asked for."""
    made = {}

    def get(case):
        if case not in made:
            condition, colours = case
            path = tmp_path_factory.mktemp("export") / "1"
            made[case] = export(path, condition, (5, 7, colours), LEVELS, SIZES.get(condition, 0))
        return made[case]

    return get


def load_example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


client_rest, client_grpc = load_example("client_rest"), load_example("client_grpc")


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


# The warm-up file


def warm_up_requests(model):
    file = model.path / "assets.extra" / warm_up.NAME
    return [
        prediction_log_pb2.PredictionLog.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(file))
    ]


@every_case
def test_every_signature_is_warmed_up_by_a_request_that_it_answers(case, exported):
    model = exported(case)
    server = Server(model)
    logs = warm_up_requests(model)
    requests = {log.predict_log.request.model_spec.signature_name: log for log in logs}
    assert len(logs) == len(requests) and requests.keys() == model.signatures.keys()
    for name, log in requests.items():
        inputs = log.predict_log.request.inputs
        # Nothing but what TensorFlow's own classes would have written.
        arrays = {key: tf.make_ndarray(value) for key, value in inputs.items()}
        request = client_grpc.request("gated_pixelcnn", name, arrays)
        log_of = prediction_log_pb2.PredictionLog(predict_log={"request": request})
        assert log == log_of
        # One image, and a valid answer.
        for output, value in server.run(name, arrays).items():
            assert value.shape[0] == 1 and np.all(np.isfinite(value))
            assert output != "images" or np.all(value < LEVELS)


def test_a_warm_up_request_has_the_types_and_shapes_of_its_signature(exported):
    for case in CASES:
        model = exported(case)
        for log in warm_up_requests(model):
            request = log.predict_log.request
            specs = inputs_of(model.signatures[request.model_spec.signature_name])
            assert request.inputs.keys() == specs.keys()
            for name, spec in specs.items():
                assert request.inputs[name].dtype == spec.dtype.as_datatype_enum
                assert spec.shape.is_compatible_with(tf.make_ndarray(request.inputs[name]).shape)


# Batching


@every_case
def test_only_signatures_that_score_have_a_batch_in_every_input_and_output(case, exported):
    def has_batch(tensors):
        return all(t.shape.rank and t.shape[0] is None for t in tensors.values())

    signatures = exported(case).signatures
    batched = {
        name
        for name, function in signatures.items()
        if has_batch(inputs_of(function)) and has_batch(function.structured_outputs)
    }
    assert batched == SCORES


def test_requests_that_are_batched_get_the_answers_that_they_get_alone(exported):
    model = exported(("label", 3))
    images, labels = pictures(model, 5), np.array([0, 1, 2, 1, 0], np.int32)
    log_prob = model.signatures["log_prob"]
    whole = log_prob(images=tf.constant(images), label=tf.constant(labels))
    for part in (slice(0, 2), slice(2, 5)):
        alone = log_prob(images=tf.constant(images[part]), label=tf.constant(labels[part]))
        for name, value in alone.items():
            np.testing.assert_allclose(value, whole[name][part], rtol=1e-5)


# A server with the REST interface, and its client


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


@pytest.fixture
def rest(monkeypatch):
    """Starts servers; gives the port for a model."""
    monkeypatch.setenv("no_proxy", "*")
    servers = []

    def start(model):
        server = Server(model)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, result = answer(server, self.path, body)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(result).encode())

            def log_message(self, *args):
                pass

        servers.append(socketserver.TCPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return servers[-1].server_address[1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("case", [(None, 1), ("label", 3)], ids=str)
def test_the_rest_client_gets_what_python_gets(case, exported, rest):
    model = exported(case)
    url = client_rest.address("127.0.0.1", rest(model), "digits", "stable")
    label = 2 if case[0] else None
    labels = np.full(3, 2) if case[0] else None
    seed = 2**62 + 1  # a float would round it
    drawn = client_rest.sample(url, 3, seed, 0.5, label)
    expected = model.sample(3, labels, seed=seed, temperature=0.5)
    np.testing.assert_array_equal(drawn, expected)

    images = pictures(model, 3)
    scores = client_rest.score(url, [png(image) for image in images], label)
    np.testing.assert_allclose(scores["log_prob"], model.log_prob(images, labels), rtol=1e-5)
    assert len(scores["bits_per_dim"]) == 3


def test_the_rest_client_writes_pictures_and_prints_scores(exported, rest, tmp_path, capsys):
    model = exported(("label", 3))
    options = ["--host=127.0.0.1", f"--port={rest(model)}", "--model=digits"]
    prefix = tmp_path / "drawn"
    client_rest.main(
        [*options, "sample", "--label=1", "--num=2", "--seed=4", "--levels=4", f"--output={prefix}"]
    )
    expected = model.sample(2, np.array([1, 1]), seed=4)
    for index, image in enumerate(expected.numpy()):
        content = (tmp_path / f"drawn-{index}.ppm").read_bytes()
        assert content == b"P6 7 5 3\n" + image.tobytes()

    (tmp_path / "one.png").write_bytes(png(pictures(model, 1)[0]))
    client_rest.main([*options, "score", "--label=1", str(tmp_path / "one.png")])
    nats = -float(model.log_prob(pictures(model, 1), np.array([1]))[0])
    assert f"one.png: {nats:.4f} nats" in capsys.readouterr().out


def test_the_rest_client_passes_on_what_the_server_refuses(exported, rest):
    port = rest(exported(("label", 3)))
    url = client_rest.address("127.0.0.1", port, "digits")
    with pytest.raises(client_rest.ServerError, match="HTTP 400.*label must be 0"):
        client_rest.sample(url, 1, 0, 1.0, label=3)
    with pytest.raises(client_rest.ServerError, match="HTTP 400.*does not match signature"):
        client_rest.sample(url, 1, 0, 1.0)
    with pytest.raises(client_rest.ServerError, match="HTTP 404"):
        client_rest.sample(client_rest.address("127.0.0.1", port, "other"), 1, 0, 1.0, label=1)


# A server with the gRPC interface, and its client


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model):
        self._server = Server(model)

    def Predict(self, request, context):
        spec = request.model_spec
        if spec.name != "digits" or spec.version_label not in ("", "stable"):
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {spec.name}")
        arrays = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        try:
            outputs = self._server.run(spec.signature_name, arrays)
        except tf.errors.InvalidArgumentError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
        response = predict_pb2.PredictResponse()
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response


@pytest.fixture
def grpc_port():
    """Starts servers; gives the port for a model."""
    servers = []

    def start(model):
        server = grpc.server(futures.ThreadPoolExecutor(1))
        service = PredictionService(model)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return port

    yield start
    for server in servers:
        server.stop(None).wait()


def test_the_grpc_client_gets_what_python_gets(exported, grpc_port, tmp_path, capsys):
    model = exported(("label", 3))
    common = ["--host=127.0.0.1", f"--port={grpc_port(model)}", "--model=digits"]
    common += ["--version_label=stable", "--seed=9", "--temperature=0.5"]
    drawn, completed = tmp_path / "drawn.npz", tmp_path / "completed.npz"
    client_grpc.main([*common, "sample", "--label=1", "--num=2", f"--output={drawn}"])
    labels = np.array([1, 1])
    images = model.sample(2, labels, seed=9, temperature=0.5).numpy()
    np.testing.assert_array_equal(np.load(drawn)["images"], images)
    np.testing.assert_array_equal(np.load(drawn)["labels"], labels)

    given = tmp_path / "given.npz"
    np.savez(given, images=pictures(model, 2), labels=labels)
    client_grpc.main(
        [*common, "complete", f"--given={given}", "--keep_rows=2", f"--output={completed}"]
    )
    known = np.arange(5).reshape(5, 1, 1) < 2
    expected = model.sample(
        2, labels, seed=9, temperature=0.5, given=pictures(model, 2), known=known
    )
    np.testing.assert_array_equal(np.load(completed)["images"], expected)

    client_grpc.main([*common, "log_prob", f"--given={given}"])
    nats = -model.log_prob(pictures(model, 2), labels).numpy()
    lines = capsys.readouterr().out.splitlines()[-2:]
    for index, line in enumerate(lines):
        assert line.startswith(f"image {index}: {nats[index]:.4f} nats")


def test_requests_of_the_grpc_client_have_the_types_of_their_signatures(exported):
    for case in [(None, 1), ("label", 3)]:
        model = exported(case)
        labels = None if case[0] is None else [1]
        requests = {
            "sample": client_grpc.sample_inputs(1, 0, 1.0, labels and labels[0]),
            "log_prob": client_grpc.log_prob_inputs(pictures(model, 1), labels),
            "complete": client_grpc.complete_inputs(pictures(model, 1), 1, 0, 1.0, labels),
        }
        for name, inputs in requests.items():
            message = client_grpc.request("digits", name, inputs, "stable")
            message = predict_pb2.PredictRequest.FromString(message.SerializeToString())
            specs = inputs_of(model.signatures[name])
            assert (message.model_spec.name, message.model_spec.version_label) == (
                "digits",
                "stable",
            )
            assert {key: x.dtype for key, x in message.inputs.items()} == {
                key: spec.dtype.as_datatype_enum for key, spec in specs.items()
            }


def test_the_grpc_client_passes_on_what_the_server_refuses(exported, grpc_port):
    model = exported(("label", 3))
    inputs = client_grpc.sample_inputs(1, 0, 1.0, label=3)
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port(model)}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as error:
            client_grpc.predict(stub, client_grpc.request("digits", "sample", inputs))
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "label must be 0…2" in error.value.details()


# Configuration files


def test_the_model_config_serves_every_version_that_has_a_label():
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((EXAMPLES / "models.config").read_text(), config)
    (model,) = config.model_config_list.config
    served = model.model_version_policy.specific.versions
    assert dict(model.version_labels) == {"stable": 1, "canary": 2}
    assert set(model.version_labels.values()) == set(served)
    assert model.base_path.startswith("/") and model.model_platform == "tensorflow"


def message_class(name, **fields):
    """A message of the server that tensorflow-serving-api lacks: field → (type, repeated)."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package="of_test")
    file.dependency.append(wrappers.DESCRIPTOR.name)
    message = file.message_type.add(name=name)
    for number, (field, (kind, label)) in enumerate(fields.items(), 1):
        types = descriptor_pb2.FieldDescriptorProto
        added = message.field.add(name=field, number=number, label=label)
        if isinstance(kind, str):
            added.type, added.type_name = types.TYPE_MESSAGE, kind
        else:
            added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"of_test.{name}"))


def test_the_batching_config_keeps_the_limits_of_the_server_and_of_the_model():
    types = descriptor_pb2.FieldDescriptorProto
    number = (".google.protobuf.Int64Value", types.LABEL_OPTIONAL)
    fields = ["max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"]
    parameters = message_class(
        "BatchingParameters",
        **dict.fromkeys(fields, number),
        allowed_batch_sizes=(types.TYPE_INT64, types.LABEL_REPEATED),
    )()
    text_format.Parse((EXAMPLES / "batching.config").read_text(), parameters)
    sizes = list(parameters.allowed_batch_sizes)
    assert sizes == sorted(sizes) and sizes[-1] == parameters.max_batch_size.value
    assert parameters.max_batch_size.value <= MAX_IMAGES


# The documentation


@pytest.mark.parametrize("file", ["docs/serving.md", "README.md"])
def test_the_curl_examples_are_answered(file, tmp_path):
    text = (DOCS.parent / file).read_text()
    requests = re.findall(r"curl -d '(.*?)' *\\?\s*http://localhost:8501(\S+)", text, re.DOTALL)
    assert requests
    server = Server(export(tmp_path / "1", "label", (8, 8, 1), 16, 10))
    picture = base64.b64encode(tf.io.encode_png(np.zeros((8, 8, 1), np.uint8)).numpy()).decode()
    for body, path in requests:
        body = re.sub(r"'\"\$\(base64 .*?\)\"'", picture, body)
        status, result = answer(server, path, body)
        assert status == 200, result


def test_the_documentation_names_every_signature_and_input(exported):
    text = (DOCS / "serving.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE)
    rows = dict(reversed(rows))  # of a name the first row: signatures are before their outputs
    for case in CASES:
        for name, function in exported(case).signatures.items():
            named = set(re.findall(r"`(\w+)`", rows[name]))
            if case[0]:
                named = named - {"num"} | {case[0]}
            assert named == inputs_of(function).keys() <= rows.keys(), name
