"""Asks TensorFlow Serving over REST; needs nothing but Python's standard library.

python client_rest.py --model=digits sample --label=3 --num=4 --seed=1 --levels=16
python client_rest.py --model=digits --version_label=canary score --label=3 three.png
"""

import argparse
import base64
import json
import sys
import urllib.error
import urllib.request


class ServerError(Exception):
    """The server's refusal; its text is what the server said."""


def address(host, port, model, version_label=None):
    """The URL of a model, or of the version of it that has a label."""
    version = f"/labels/{version_label}" if version_label else ""
    return f"http://{host}:{port}/v1/models/{model}{version}:predict"


def predict(url, signature, inputs, timeout=60):
    """Runs a signature: returns its outputs by name, or the output itself if it is the only one."""
    # Columns ("inputs"), not rows ("instances"): a seed belongs to the request, not to an image.
    body = json.dumps({"signature_name": signature, "inputs": inputs}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=timeout) as answer:
            return json.load(answer)["outputs"]
    except urllib.error.HTTPError as error:
        raise ServerError(f"HTTP {error.code}: {error.read().decode()}") from None
    except urllib.error.URLError as error:
        raise ServerError(f"no answer from {url} ({error.reason})") from None


def sample(url, num, seed, temperature, label=None):
    """Draws images: lists [num][height][width][colours] of whole numbers 0…levels-1."""
    how_many = {"num": num} if label is None else {"label": [label] * num}
    return predict(url, "sample", {**how_many, "seed": seed, "temperature": temperature})


def score(url, files, label=None):
    """Log-probabilities of PNG or JPEG files (their bytes): dict of log_prob and bits_per_dim."""
    inputs = {"image_bytes": [{"b64": base64.b64encode(file).decode()} for file in files]}
    if label is not None:
        inputs["label"] = [label] * len(files)
    return predict(url, "log_prob_bytes", inputs)


def pnm(image, levels):
    """An image as a PGM or PPM file, in which white may be any number."""
    kind, height, width = {1: "P5", 3: "P6"}[len(image[0][0])], len(image), len(image[0])
    header = f"{kind} {width} {height} {levels - 1}\n".encode()
    return header + bytes(value for row in image for pixel in row for value in pixel)


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--model", required=True, help="its name on the server")
    parser.add_argument("--version_label", help="such as stable or canary; else the latest version")
    commands = parser.add_subparsers(dest="command", required=True)
    draw = commands.add_parser("sample", help="draw images and write them as PGM or PPM files")
    draw.add_argument("--num", type=int, default=1)
    draw.add_argument("--seed", type=int, default=0)
    draw.add_argument("--temperature", type=float, default=1.0)
    draw.add_argument("--levels", type=int, default=256, help="of the model; white is levels-1")
    draw.add_argument("--output", default="sample", help="the files are called <output>-0.pgm, …")
    rate = commands.add_parser("score", help="log-probabilities of PNG or JPEG files")
    rate.add_argument("files", nargs="+")
    for command in (draw, rate):
        command.add_argument("--label", type=int, help="class, for a model conditioned on it")
    return parser


def main(argv=None):
    """Runs a command."""
    args = arguments().parse_args(argv)
    url = address(args.host, args.port, args.model, args.version_label)
    if args.command == "sample":
        images = sample(url, args.num, args.seed, args.temperature, args.label)
        for index, image in enumerate(images):
            name = f"{args.output}-{index}.{'pgm' if len(image[0][0]) == 1 else 'ppm'}"
            with open(name, "wb") as file:
                file.write(pnm(image, args.levels))
            print(name)
    else:
        contents = []
        for name in args.files:
            with open(name, "rb") as file:
                contents.append(file.read())
        scores = score(url, contents, args.label)
        for index, name in enumerate(args.files):
            nats, bits = -scores["log_prob"][index], scores["bits_per_dim"][index]
            print(f"{name}: {nats:.4f} nats, {bits:.4f} bits/dim")


if __name__ == "__main__":
    try:
        main()
    except (ServerError, OSError) as error:
        sys.exit(str(error))
