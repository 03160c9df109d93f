"""Requests for the signatures of a SavedModel: valid ones, and what may be wrong with them."""

import dataclasses
import io
import struct
import zlib

import numpy as np
from PIL import Image

HUGE = 1_000_000_007  # images: more than any server has memory for
WRONG_NUMBERS = {
    "temperature": [0.0, -0.0, -1.0, 1e-9, 1e30, np.nan, np.inf, -np.inf],
    "vector": [np.nan, np.inf, -np.inf, 3e38],
    "spatial": [np.nan, np.inf, -np.inf, 3e38],
}
DTYPES = [np.float64, np.float32, np.int32, np.int64, np.uint8, np.bool_, np.complex64, object]


@dataclasses.dataclass
class Request:
    """One request.

    Attributes:
      signature: Its name.
      inputs: name → array.
      faults: (name of the input, what is wrong with it); none of a valid request.
      may_be_answered: whether an answer is right; of damaged files, an error is, too.
    """

    signature: str
    inputs: dict
    faults: list = dataclasses.field(default_factory=list)

    @property
    def may_be_answered(self):
        return all(fault in MAYBE for _, fault in self.faults)


class Maker:
    """Makes requests at random, for a model of which it knows the facts.

    Args:
      signatures: name → inputs: name → (dtype, shape with None for the number of images).
      facts: image_shape, levels, condition_size and max_images of the model.
      seed: The same seed makes the same requests.
    """

    def __init__(self, signatures, facts, seed):
        self.signatures, self.facts = signatures, facts
        self.random = np.random.default_rng(seed)

    def request(self):
        """A request: one of five is valid, one of five has two faults."""
        name = self.one_of(sorted(self.signatures))
        request = self.valid(name, self.random.integers(1, self.facts["max_images"] + 1))
        for _ in range(self.random.choice([0, 1, 2], p=[0.2, 0.6, 0.2])):
            self.spoil(request)
        return request

    def one_of(self, choices):
        return choices[self.random.integers(len(choices))]

    def valid(self, name, num):
        """A valid request for `num` images."""
        inputs = {}
        for key, (dtype, shape) in self.signatures[name].items():
            shape = [num if size is None else size for size in shape]
            inputs[key] = self.value(key, num, shape).astype(dtype)
        return Request(name, inputs)

    def value(self, key, num, shape):
        random = self.random
        if key == "image_bytes":
            return np.array([self.file() for _ in range(num)], object)
        return np.asarray(
            {
                "num": lambda: num,
                "seed": lambda: random.integers(-(2**63), 2**63 - 1),
                "temperature": lambda: self.one_of([1e-6, 0.5, 1.0, 2.0, 1e6]),
                "images": lambda: random.integers(0, self.facts["levels"], shape),
                "image": lambda: random.integers(0, self.facts["levels"], shape),
                "known": lambda: random.random(shape) < 0.5,
                "label": lambda: random.integers(0, self.facts["condition_size"], shape),
                "vector": lambda: random.normal(size=shape) * self.one_of([1, 1e6]),
                "spatial": lambda: random.normal(size=shape),
            }[key]()
        )

    def file(self, format=None, shape=None):
        """The bytes of an image file, of the model's size if not told otherwise."""
        pixels = self.random.integers(0, 256, shape or self.facts["image_shape"]).astype(np.uint8)
        file = io.BytesIO()
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        picture.save(file, format or self.one_of(["PNG", "JPEG"]))
        return file.getvalue()

    # Faults.

    def spoil(self, request):
        """Makes one thing wrong with a request."""
        # Not twice with the same input: the second fault could mend the first.
        right = request.inputs.keys() - {name for name, _ in request.faults}
        if not right:
            return
        key = self.one_of(sorted(right))
        dtype, shape = self.signatures[request.signature][key]
        faults = [self.other_rank, self.other_dtype]
        if shape and shape[0] is None:
            faults += [self.no_images, self.too_many, self.other_number]
        if len(shape) > 1:
            faults += [self.other_size]
        special = getattr(self, f"wrong_{key}", None)
        if key in WRONG_NUMBERS:
            special = self.wrong_number
        if self.random.random() < 0.2:  # not often: each set of inputs is a graph of its own
            faults += [self.missing]
        if special:
            faults += [special] * len(faults)  # as often as all others together
        fault = self.one_of(faults)
        before = dict(request.inputs)
        kind = fault(request.inputs, key)
        changed = [name for name in before if request.inputs.get(name) is not before[name]]
        request.faults += [(name, kind) for name in changed]

    def missing(self, inputs, key):
        del inputs[key]
        return "missing"

    def other_rank(self, inputs, key):
        array = inputs[key]
        fewer = len(array) and self.random.random() < 0.5 if array.ndim else False
        inputs[key] = array[0, ...] if fewer else array[None]
        return "rank"

    def other_size(self, inputs, key):
        array = inputs[key]
        axis = self.random.integers(1, max(2, array.ndim))
        sizes = list(array.shape)
        if axis >= len(sizes):
            return None
        sizes[axis] = self.one_of([0, sizes[axis] + 1, sizes[axis] + 30])
        inputs[key] = np.resize(array, sizes) if array.size else np.zeros(sizes, array.dtype)
        return "size"

    def other_dtype(self, inputs, key):
        array = inputs[key]
        dtype = self.one_of([dtype for dtype in DTYPES if dtype != array.dtype])
        if dtype is object:
            inputs[key] = np.full(array.shape, b"text", object)
        else:
            inputs[key] = np.zeros(array.shape, dtype)
        return "dtype"

    def no_images(self, inputs, key):
        for name, array in inputs.items():
            if array.ndim and (name == key or self.random.random() < 0.9):
                inputs[name] = array[:0]
        return "no images"

    def too_many(self, inputs, key):
        num = self.facts["max_images"] + self.one_of([1, 2, 1000])
        for name, array in inputs.items():
            if array.ndim and array.size:
                inputs[name] = np.resize(array, (num, *array.shape[1:]))
        return "too many"

    def other_number(self, inputs, key):
        array = inputs[key]
        others = [len(x) for name, x in inputs.items() if x.ndim and name != key]
        if not others or len(array) not in others:
            return None
        inputs[key] = array[1:] if len(array) > 1 else np.concatenate([array, array])
        return "number of images"

    def wrong_number(self, inputs, key):
        return self.put(inputs, key, self.one_of(WRONG_NUMBERS[key]))

    def wrong_num(self, inputs, key):
        most = self.facts["max_images"]
        return self.put(inputs, key, self.one_of([0, -1, most + 1, HUGE, 2**31 - 1, -(2**31)]))

    def wrong_label(self, inputs, key):
        classes = self.facts["condition_size"]
        return self.put(inputs, key, self.one_of([-1, classes, 2**31 - 1, -(2**31)]))

    def wrong_images(self, inputs, key):
        levels = self.facts["levels"]
        return self.put(inputs, key, self.one_of([levels, 255])) if levels < 256 else None

    wrong_image = wrong_images

    def put(self, inputs, key, value):
        """Puts a value somewhere into an input."""
        array = inputs[key].copy()
        if not array.size or array.dtype == object or array.dtype == np.bool_:
            return None  # an earlier fault has left no place for it
        with np.errstate(all="ignore"):
            array.flat[self.random.integers(array.size)] = value
        inputs[key] = array
        return "value"

    def wrong_image_bytes(self, inputs, key):
        files = inputs[key].copy()
        if not files.size or files.dtype != object:
            return None
        name, damage = self.one_of(list(DAMAGES.items()))
        files.flat[self.random.integers(files.size)] = damage(self)
        inputs[key] = files
        return name


def flipped(maker):
    """A file in which one bit is another; after the header, where its size is told."""
    file = bytearray(maker.file())
    file[maker.random.integers(24, len(file))] ^= 1 << maker.random.integers(8)
    return bytes(file)


def cut(maker):
    """A file of which the end is missing, but not only the last bytes, which tell nothing."""
    file = maker.file()
    return file[: maker.random.integers(1, len(file) - 12)]


def png_that_claims(height, width):
    """A PNG file, with checksums that are right, which says that it is that large."""

    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunks + chunk(b"IEND", b"")


def jpeg_that_claims(file, height, width):
    """A JPEG file that says that it is that large."""
    start = max(file.find(b"\xff\xc0"), file.find(b"\xff\xc2")) + 5
    return file[:start] + struct.pack(">HH", height, width) + file[start + 4 :]


def other_size(maker):
    height, width, channels = maker.facts["image_shape"]
    return maker.file(shape=(height + maker.random.integers(1, 9), width, channels))


DAMAGES = {
    "no bytes": lambda maker: b"",
    "text": lambda maker: b"no image",
    "random bytes": lambda maker: maker.random.bytes(maker.random.integers(1, 3000)),
    "random PNG": lambda maker: b"\x89PNG\r\n\x1a\n" + maker.random.bytes(200),
    "random JPEG": lambda maker: b"\xff\xd8\xff" + maker.random.bytes(200),
    "GIF, BMP, WebP": lambda maker: maker.file(maker.one_of(["GIF", "BMP", "WEBP"])),
    "cut": cut,
    "bit flipped": flipped,
    "more bytes after it": lambda maker: maker.file() + maker.random.bytes(50),
    "other image size": other_size,
    "huge PNG": lambda maker: png_that_claims(60_000, 60_000),
    "PNG of size 0": lambda maker: png_that_claims(0, 0),
    "huge JPEG": lambda maker: jpeg_that_claims(maker.file("JPEG"), 65_500, 65_500),
}
MAYBE = ("bit flipped", "more bytes after it")  # a decoder may or may not be content with these
