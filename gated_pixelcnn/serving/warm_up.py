"""Warm-up requests: TensorFlow Serving runs them before it answers those of its clients.

If one of them fails, the server does not load the version at all.

The file is a TFRecord of `tensorflow.serving.PredictionLog` messages. These are a few nested
fields, so they are written here as what they are on the wire, and exporting does not need the
package tensorflow-serving-api (tests/test_tf_serving.py parses them with it).
"""

import numpy as np
import tensorflow as tf

NAME = "tf_serving_warmup_requests"


def write(path, signatures, image_shape, model_name="gated_pixelcnn"):
    """Writes one request of one image for every signature.

    Args:
      path: The file.
      signatures: name → concrete function.
      image_shape: (H, W, C).
      model_name: What the server is told to call the model; it does not look at it.
    """
    with tf.io.TFRecordWriter(str(path)) as file:
        for name, function in signatures.items():
            specs = function.structured_input_signature[1]
            inputs = {key: example(key, spec, image_shape) for key, spec in specs.items()}
            file.write(predict_log(model_name, name, inputs))


def example(name, spec, image_shape):
    """A valid value, of one image, for an input of a signature."""
    if name == "image_bytes":
        return [tf.io.encode_png(np.zeros(image_shape, np.uint8)).numpy()]
    shape = [1 if size is None else size for size in spec.shape]
    value = 1 if name in ("num", "temperature") else 0
    return np.full(shape, value, spec.dtype.as_numpy_dtype)


def predict_log(model_name, signature, inputs):
    """A serialised PredictionLog of a PredictRequest.

    Args:
      model_name: Of ModelSpec.
      signature: Name of the signature.
      inputs: name → array.

    Returns:
      Bytes.
    """
    model_spec = field(1, model_name.encode()) + field(3, signature.encode())
    request = field(1, model_spec)
    for name, array in inputs.items():
        tensor = tf.make_tensor_proto(array).SerializeToString()
        request += field(2, field(1, name.encode()) + field(2, tensor))  # an entry of the map
    return field(6, field(1, request))  # PredictionLog.predict_log, PredictLog.request


def field(number, value):
    """A protocol buffer's field of bytes: key (wire type 2), length, value."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(number):
    """A number in sevens of bits, the lowest first; the eighth says that more follow."""
    parts = []
    while number >= 128:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])
