"""In what two finished runs differ."""

import json
from pathlib import Path

import numpy as np

from gated_pixelcnn.runs import checkpoints


def differences(workdir, expected, tolerance=0.0):
    """In what a finished run is not the expected one.

    Args:
      workdir: Work directory of a run.
      expected: That of another one.
      tolerance: Relative and absolute, of numbers that are not integers; 0: the same bits.

    Returns:
      List of names and of what is different, empty if nothing is.
    """
    found, wanted = _content(Path(workdir), tolerance), _content(Path(expected), tolerance)
    names = sorted(found.keys() | wanted.keys())
    return [name for name in names if not _equal(found.get(name), wanted.get(name), tolerance)]


def _content(workdir, tolerance):
    """Everything of a run that is to be compared, by name."""
    content = {}
    folder = checkpoints.Checkpoints(workdir / "checkpoints")
    steps = folder.steps()
    last = folder.path(steps[-1]) if steps else folder.directory / "step-none.npz"
    best = folder.directory / checkpoints.BEST
    for kind, path in (("last checkpoint", last), ("best.npz", best)):
        arrays, meta = checkpoints.read(path)
        content |= {f"{kind}: {name}": array for name, array in arrays.items()}
        content |= {f"{kind}: {name}": x for name, x in meta.items() if name != "seconds"}
    content["metrics.jsonl"] = [
        {key: x for key, x in report.items() if key != "train_images_per_second"}
        for report in map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    ]
    if not tolerance:  # else a draw at a boundary may be another
        content |= {p.name: p.read_bytes() for p in (workdir / "samples").glob("*.png")}
    return content


def _equal(a, b, tolerance):
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if (a.dtype, a.shape) != (b.dtype, b.shape):
            return False
        if not tolerance or a.dtype.kind != "f":
            return a.tobytes() == b.tobytes()
        return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance))
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return a == b or abs(a - b) <= tolerance * (1 + abs(b))
    if isinstance(a, list):
        return len(a) == len(b) and all(_equal(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key], tolerance) for key in a)
    return a == b
