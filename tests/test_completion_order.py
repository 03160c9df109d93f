"""What completion draws from, and the remedy that docs/sampling.md names."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from families import build

ROOT = Path(__file__).parents[1]


def test_completions_ignore_what_is_known_later_and_weights_make_up_for_it():
    """An image of two values, the second one known: every probability can be counted."""
    model = build(image_shape=(2, 1, 1), levels=3)
    model.build()
    rng = np.random.default_rng(3)
    for weight in model.weights:
        weight.assign(0.7 * rng.normal(size=weight.shape))
    every = np.array(list(itertools.product(range(3), repeat=2)), np.uint8).reshape(-1, 2, 1, 1)
    joint = np.exp(model.log_prob(every)).reshape(3, 3)
    prior, posterior = joint.sum(axis=1), joint[:, 2] / joint[:, 2].sum()
    assert np.abs(prior - posterior).max() > 0.15

    num, known = 3000, np.array([False, True]).reshape(2, 1, 1)
    given = np.full((1, 2, 1, 1), 2, np.uint8)
    many = np.asarray(model.sample(num, given=given, known=known, seed=1, jit=False))
    assert (many[:, 1] == 2).all()
    first = many[:, 0, 0, 0]
    assert np.bincount(first, minlength=3) / num == pytest.approx(prior, abs=0.03)
    nats = np.sum(model.value_log_prob(many) * known, axis=(1, 2, 3))
    weights = np.exp(nats - nats.max())
    found = np.bincount(first, weights, minlength=3) / weights.sum()
    assert found == pytest.approx(posterior, abs=0.03)


def test_a_run_is_loaded_where_python_has_no_locks_and_training_says_so(tmp_path):
    code = (
        "import sys; sys.modules['fcntl'] = None\n"
        "from gated_pixelcnn.errors import UserError\n"
        "from gated_pixelcnn.runs.directory import RunDirectory\n"
        "try:\n"
        "    RunDirectory(sys.argv[1]).__enter__()\n"
        "except UserError as error:\n"
        "    print(error)\n"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "run")]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "trained on Linux or macOS" in done.stdout
    assert not (tmp_path / "run").exists()
