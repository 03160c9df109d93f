"""Scripts as tests run them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from absl import flags

ROOT = Path(__file__).parents[1]


def call(script, monkeypatch, *arguments):
    """Runs a script in this process, with flags of its own."""
    values = flags.FlagValues()
    monkeypatch.setattr(script, "FLAGS", values)
    script.define_flags()
    script.main(values(["script", *arguments]))


def read_npz(path):
    with np.load(path) as archive:
        return dict(archive)


def script(name, *arguments):
    return subprocess.run(
        [sys.executable, ROOT / name, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
