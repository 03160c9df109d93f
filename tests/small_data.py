"""Data of small npz files, for several test files."""

import numpy as np

from gated_pixelcnn import data


def load(source, **options):
    return data.load(data.DataConfig(source=source, **options))


def write_npz(path, **arrays):
    np.savez(path, **arrays)
    return f"npz:{path}"


def bytes_of(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
