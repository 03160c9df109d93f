"""What benchmarks/faults.py notices when it compares two runs."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from gated_pixelcnn.runs import checkpoints

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from fault_trials.comparing import differences  # noqa: E402
from fault_trials.processes import Lost, check_error  # noqa: E402

WEIGHTS = np.float32([0.0, 1.0, np.nan])
META = {"seconds": 1.5, "evaluated": 4, "window": [[1.0, 2.0]]}
REPORT = {"step": 4, "train_bits_per_dim": 2.0, "train_images_per_second": 99.0}


def write_run(workdir, array=WEIGHTS, best=WEIGHTS, meta=META, report=REPORT, sample=b"image"):
    """What a finished run leaves."""
    folder = checkpoints.Checkpoints(workdir / "checkpoints")
    folder.save(3, {}, {})
    folder.save(6, {"weights/0000": array, "optimizer/0000": np.int64([6])}, meta)
    folder.save_best({"weights/0000": best}, {"step": 4})
    (workdir / "metrics.jsonl").write_text(json.dumps(report) + "\n")
    (workdir / "samples").mkdir()
    (workdir / "samples" / "step-000000004.png").write_bytes(sample)
    return workdir


@pytest.fixture(name="expected")
def make_expected(tmp_path):
    return write_run(tmp_path / "expected")


def flipped(array):
    """The array with its very last bit changed."""
    content = bytearray(array.tobytes())
    content[-4] ^= 1
    return np.frombuffer(content, array.dtype)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"array": flipped(WEIGHTS)}, ["last checkpoint: weights/0000"]),
        ({"array": WEIGHTS.astype(np.float64)}, ["last checkpoint: weights/0000"]),
        ({"array": np.float32([-0.0, 1.0, np.nan])}, ["last checkpoint: weights/0000"]),
        ({"array": WEIGHTS[:2]}, ["last checkpoint: weights/0000"]),
        ({"best": flipped(WEIGHTS)}, ["best.npz: weights/0000"]),
        ({"meta": META | {"window": [[1.0, 2.5]]}}, ["last checkpoint: window"]),
        ({"report": REPORT | {"train_bits_per_dim": 2.0000000000000004}}, ["metrics.jsonl"]),
        ({"report": REPORT | {"step": 5}}, ["metrics.jsonl"]),
        ({"sample": b"other"}, ["step-000000004.png"]),
    ],
)
def test_a_changed_bit_is_a_difference(tmp_path, expected, change, names):
    assert differences(write_run(tmp_path / "run", **change), expected) == names


def test_what_the_clock_says_is_no_difference(tmp_path, expected):
    report = REPORT | {"train_images_per_second": 5.0}
    run = write_run(tmp_path / "run", meta=META | {"seconds": 7.0}, report=report)
    assert differences(run, expected) == []


def test_only_numbers_that_are_rounded_have_a_tolerance(tmp_path, expected):
    close = {"array": np.float32([1e-6, 1.000001, np.nan]), "sample": b"other"}
    report = REPORT | {"train_bits_per_dim": 2.000001}
    run = write_run(tmp_path / "close", **close, report=report)
    # NaN is never close to anything: a run that ends with one is not as expected.
    assert differences(run, expected, 1e-5) == [
        "best.npz: weights/0000",
        "last checkpoint: weights/0000",
    ]
    finite = np.float32([0.0, 1.0])
    expected = write_run(tmp_path / "finite", finite, finite)
    run = write_run(tmp_path / "run", finite + np.float32(1e-6), finite, report=report)
    assert differences(run, expected, 1e-5) == []
    far = write_run(tmp_path / "far", finite, finite, report=REPORT | {"step": 5})
    assert differences(far, expected, 1e-5) == ["metrics.jsonl"]


@pytest.mark.parametrize(
    "output",
    ["", "error: a\nerror: b\n", "Traceback (most recent call last):\nerror: a\n", "error: b\n"],
)
def test_anything_but_one_line_of_error_with_its_text_is_not_survived(output):
    assert check_error("2 parameters\nerror: a\n", "a") == "error: a"
    with pytest.raises(Lost):
        check_error(output, "a")
