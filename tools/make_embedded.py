"""Makes the embedded data sets: gated_pixelcnn/data/embedded/*.npz.

Not needed to use the package: the files it writes are kept in the repository. To make them again:

    apt-get install dataset-fashion-mnist
    pip install scikit-image scikit-learn
    python tools/make_embedded.py
    python tools/make_embedded.py --tiles64=tiles64.npz  # larger tiles, which are not embedded

The same inputs give the same bytes. Sources and licences: gated_pixelcnn/data/embedded/NOTICE.
"""

import argparse
import gzip
import io
import pathlib
import zipfile

import numpy as np

OUTPUT = pathlib.Path(__file__).parent.parent / "gated_pixelcnn" / "data" / "embedded"
FASHION_MNIST = pathlib.Path("/usr/share/datasets/fashion-mnist")
FASHION_CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
PICTURES = ("astronaut", "chelsea", "coffee", "rocket", "retina", "hubble_deep_field")
TILE = 32
TEST_WIDTH = 0.2  # the right-most part of each picture is the test region
MAX_TRAIN_TILES = 160  # of one picture
MAX_TEST_TILES = 40


def read_idx(path):
    """Reads one gzipped IDX file of unsigned bytes."""
    data = gzip.decompress(path.read_bytes())
    rank = data[3]
    shape = np.frombuffer(data, ">i4", count=rank, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def balanced(labels, per_class):
    """Returns the indices, in order, of the first `per_class` examples of each class."""
    chosen = [np.flatnonzero(labels == label)[:per_class] for label in np.unique(labels)]
    return np.sort(np.concatenate(chosen))


def fashion_mnist():
    """400 training and 100 test images of each class, from the original splits."""
    arrays = {"class_names": np.array(FASHION_CLASSES)}
    for split, prefix, per_class in (("train", "train", 400), ("test", "t10k", 100)):
        images = read_idx(FASHION_MNIST / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(FASHION_MNIST / f"{prefix}-labels-idx1-ubyte.gz")
        keep = balanced(labels, per_class)
        arrays[f"x_{split}"] = images[keep][..., None]
        arrays[f"y_{split}"] = labels[keep]
    return arrays


def cut_tiles(region, limit, side, step):
    """Cuts tiles every `step` pixels, row by row; keeps `limit` of them, evenly spread.

    Tiles of a single colour (the black corners of the retina) are left out.
    """
    windows = np.lib.stride_tricks.sliding_window_view(region, (side, side), axis=(0, 1))
    tiles = windows[::step, ::step].reshape(-1, 3, side, side).transpose(0, 2, 3, 1)
    tiles = tiles[np.ptp(tiles, axis=(1, 2, 3)) > 16]
    keep = np.linspace(0, len(tiles) - 1, min(limit, len(tiles))).round().astype(int)
    return tiles[keep]


def tiles32():
    """Colour tiles of 32×32 that do not overlap."""
    return colour_tiles(TILE, TILE, {"train": MAX_TRAIN_TILES, "test": MAX_TEST_TILES})


def colour_tiles(side, step, most):
    """Colour tiles of six pictures; the label is the picture's index.

    Those of training are cut every `step` pixels, and at most so many of a picture and split are
    kept. Training tiles come from the left of each picture and test tiles from the right, so
    that no test pixel is a training pixel.
    """
    from skimage import data

    splits = {"train": [], "test": []}
    for name in PICTURES:
        picture = getattr(data, name)()
        if name == "retina":  # smooth at its full size: halve it by averaging
            half = picture[:1410, :1410].reshape(705, 2, 705, 2, 3).mean(axis=(1, 3))
            picture = half.round().astype(np.uint8)
        border = round(picture.shape[1] * (1 - TEST_WIDTH))
        for split, region, each in (
            ("train", picture[:, :border], step),
            ("test", picture[:, border:], side),
        ):
            splits[split].append(cut_tiles(region, most[split], side, each))
    arrays = {"class_names": np.array([name.split("_")[0] for name in PICTURES])}
    for split, tiles in splits.items():
        arrays[f"x_{split}"] = np.concatenate(tiles)
        counts = [len(t) for t in tiles]
        arrays[f"y_{split}"] = np.repeat(np.arange(len(PICTURES)), counts).astype(np.uint8)
    return arrays


def digits8():
    """The 8x8 digits, their 17 native levels v stored as round(255 v / 16).

    `levels=17` gives the native levels back exactly; 2, 4, 16 and 256 work as for any images.
    The last 30 digits of each class are the test images.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.floor(digits.images * (255 / 16) + 0.5).astype(np.uint8)[..., None]
    labels = digits.target.astype(np.uint8)
    test = np.sort(len(labels) - 1 - balanced(labels[::-1], 30))
    train = np.setdiff1d(np.arange(len(labels)), test)
    return {
        "class_names": np.array([str(digit) for digit in range(10)]),
        "x_train": images[train],
        "y_train": labels[train],
        "x_test": images[test],
        "y_test": labels[test],
    }


def save(path, arrays):
    """Writes a compressed npz whose bytes depend on the arrays only (no time stamps)."""
    with zipfile.ZipFile(path, "w") as archive:
        for key, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, buffer.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)


def main():
    """Writes all the data sets and prints their sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, default=OUTPUT)
    parser.add_argument("--tiles64", type=pathlib.Path, help="write these only")
    arguments = parser.parse_args()
    if arguments.tiles64:
        write(arguments.tiles64, colour_tiles(64, step=12, most={"train": 1000, "test": 40}))
        return
    arguments.output.mkdir(parents=True, exist_ok=True)
    for make in (fashion_mnist, tiles32, digits8):
        write(arguments.output / f"{make.__name__}.npz", make())


def write(path, arrays):
    """Saves a data set and tells its size."""
    save(path, arrays)
    shapes = ", ".join(f"{k} {v.shape}" for k, v in arrays.items() if k.startswith("x_"))
    print(f"{path}: {path.stat().st_size:,} bytes; {shapes}")


if __name__ == "__main__":
    main()
