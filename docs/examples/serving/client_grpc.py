"""Asks TensorFlow Serving over gRPC, in arrays: pip install tensorflow-serving-api numpy

python client_grpc.py --model=digits sample --label=3 --num=4 --seed=1 --output=drawn.npz
python client_grpc.py --model=digits log_prob --given=drawn.npz
python client_grpc.py --model=digits complete --given=drawn.npz --keep_rows=4 --output=completed.npz
"""

import argparse
import sys

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

ANY_SIZE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def request(model, signature, inputs, version_label=None):
    """A PredictRequest of arrays, each of which must have the type of its input."""
    message = predict_pb2.PredictRequest()
    message.model_spec.name = model
    message.model_spec.signature_name = signature
    if version_label:
        message.model_spec.version_label = version_label
    for name, value in inputs.items():
        message.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return message


def predict(stub, message, timeout=60):
    """The answer's outputs: name → array."""
    outputs = stub.Predict(message, timeout).outputs
    return {name: tf.make_ndarray(tensor) for name, tensor in outputs.items()}


def how(seed, temperature):
    """What belongs to a request that draws, and not to its images."""
    return {"seed": np.int64(seed), "temperature": np.float32(temperature)}


def sample_inputs(num, seed, temperature, label=None):
    """Inputs of `sample`."""
    how_many = {"num": np.int32(num)} if label is None else {"label": np.full(num, label, np.int32)}
    return {**how_many, **how(seed, temperature)}


def log_prob_inputs(images, labels=None):
    """Inputs of `log_prob`: images 0…levels-1, [N, height, width, colours]."""
    inputs = {"images": np.asarray(images, np.uint8)}
    return inputs if labels is None else {**inputs, "label": np.asarray(labels, np.int32)}


def complete_inputs(images, keep_rows, seed, temperature, labels=None):
    """Inputs of `complete`: the upper rows are kept, the others drawn."""
    known = np.zeros(np.shape(images), bool)
    known[:, :keep_rows] = True
    return {**log_prob_inputs(images, labels), "known": known, **how(seed, temperature)}


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=8500)
    parser.add_argument("--model", required=True, help="its name on the server")
    parser.add_argument("--version_label", help="such as stable or canary; else the latest version")
    parser.add_argument("command", choices=["sample", "log_prob", "complete"])
    parser.add_argument("--num", type=int, default=1, help="of images to sample")
    parser.add_argument("--label", type=int, help="class, for a model conditioned on it")
    parser.add_argument("--given", help="npz file: images and, where there are classes, labels")
    parser.add_argument("--keep_rows", type=int, default=0, help="of the given images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--output", default="drawn.npz", help="npz file for the images")
    return parser


def main(argv=None):
    """Runs a command."""
    args = arguments().parse_args(argv)
    given = dict(np.load(args.given)) if args.given else {}
    images, labels = given.get("images"), given.get("labels")
    if args.command == "sample":
        inputs = sample_inputs(args.num, args.seed, args.temperature, args.label)
        labels = inputs.get("label")
    elif images is None:
        sys.exit(f"{args.command} needs --given, an npz file with an array images")
    elif args.command == "log_prob":
        inputs = log_prob_inputs(images, labels)
    else:
        inputs = complete_inputs(images, args.keep_rows, args.seed, args.temperature, labels)
    with grpc.insecure_channel(f"{args.host}:{args.port}", ANY_SIZE) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        message = request(args.model, args.command, inputs, args.version_label)
        outputs = predict(stub, message)
    if args.command == "log_prob":
        for index, nats in enumerate(outputs["log_prob"]):
            bits = outputs["bits_per_dim"][index]
            print(f"image {index}: {-nats:.4f} nats, {bits:.4f} bits/dim")
    else:
        arrays = outputs if labels is None else {**outputs, "labels": labels}
        np.savez_compressed(args.output, **arrays)
        print(args.output)


if __name__ == "__main__":
    try:
        main()
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
    except OSError as error:
        sys.exit(str(error))
