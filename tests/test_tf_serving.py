"""What TensorFlow Serving finds in an export, and the examples and files of docs/serving.md."""

import base64
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf import wrappers_pb2 as wrappers
from served import (
    CASES,
    EXAMPLES,
    LEVELS,
    SCORES,
    Server,
    answer,
    every_case,
    export,
    inputs_of,
    load_example,
    pictures,
)
from tensorflow_serving.apis import (
    prediction_log_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

from gated_pixelcnn.serving import warm_up
from gated_pixelcnn.serving.export import MAX_IMAGES

DOCS = Path(__file__).parents[1] / "docs"
client_grpc = load_example("client_grpc")

# The warm-up file


def warm_up_requests(model):
    file = model.path / "assets.extra" / warm_up.NAME
    return [
        prediction_log_pb2.PredictionLog.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(file))
    ]


@every_case
def test_every_signature_is_warmed_up_by_a_request_that_it_answers(case, servable):
    model = servable(case)
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


def test_a_warm_up_request_has_the_types_and_shapes_of_its_signature(servable):
    for case in CASES:
        model = servable(case)
        for log in warm_up_requests(model):
            request = log.predict_log.request
            specs = inputs_of(model.signatures[request.model_spec.signature_name])
            assert request.inputs.keys() == specs.keys()
            for name, spec in specs.items():
                assert request.inputs[name].dtype == spec.dtype.as_datatype_enum
                assert spec.shape.is_compatible_with(tf.make_ndarray(request.inputs[name]).shape)


# Batching


@every_case
def test_only_signatures_that_score_have_a_batch_in_every_input_and_output(case, servable):
    def has_batch(tensors):
        return all(t.shape.rank and t.shape[0] is None for t in tensors.values())

    signatures = servable(case).signatures
    batched = {
        name
        for name, function in signatures.items()
        if has_batch(inputs_of(function)) and has_batch(function.structured_outputs)
    }
    assert batched == SCORES


def test_requests_that_are_batched_get_the_answers_that_they_get_alone(servable):
    model = servable(("label", 3))
    images, labels = pictures(model, 5), np.array([0, 1, 2, 1, 0], np.int32)
    log_prob = model.signatures["log_prob"]
    whole = log_prob(images=tf.constant(images), label=tf.constant(labels))
    for part in (slice(0, 2), slice(2, 5)):
        alone = log_prob(images=tf.constant(images[part]), label=tf.constant(labels[part]))
        for name, value in alone.items():
            np.testing.assert_allclose(value, whole[name][part], rtol=1e-5)


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


def test_the_documentation_names_every_signature_and_input(servable):
    text = (DOCS / "serving.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE)
    rows = dict(reversed(rows))  # of a name the first row: signatures are before their outputs
    for case in CASES:
        for name, function in servable(case).signatures.items():
            named = set(re.findall(r"`(\w+)`", rows[name]))
            if case[0]:
                named = named - {"num"} | {case[0]}
            assert named == inputs_of(function).keys() <= rows.keys(), name
