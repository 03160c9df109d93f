"""The REST and gRPC clients of docs/serving.md, and servers that answer as TensorFlow Serving."""

import http.server
import json
import socketserver
import threading
from concurrent import futures

import grpc
import numpy as np
import pytest
import tensorflow as tf
from served import Server, answer, inputs_of, load_example, pictures, png
from tensorflow_serving.apis import (
    predict_pb2,
    prediction_service_pb2_grpc,
)

client_rest, client_grpc = load_example("client_rest"), load_example("client_grpc")


# A server with the REST interface, and its client


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
def test_the_rest_client_gets_what_python_gets(case, servable, rest):
    model = servable(case)
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


def test_the_rest_client_writes_pictures_and_prints_scores(servable, rest, tmp_path, capsys):
    model = servable(("label", 3))
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


def test_the_rest_client_passes_on_what_the_server_refuses(servable, rest):
    port = rest(servable(("label", 3)))
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


def test_the_grpc_client_gets_what_python_gets(servable, grpc_port, tmp_path, capsys):
    model = servable(("label", 3))
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


def test_requests_of_the_grpc_client_have_the_types_of_their_signatures(servable):
    for case in [(None, 1), ("label", 3)]:
        model = servable(case)
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


def test_the_grpc_client_passes_on_what_the_server_refuses(servable, grpc_port):
    model = servable(("label", 3))
    inputs = client_grpc.sample_inputs(1, 0, 1.0, label=3)
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port(model)}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as error:
            client_grpc.predict(stub, client_grpc.request("digits", "sample", inputs))
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "label must be 0…2" in error.value.details()
