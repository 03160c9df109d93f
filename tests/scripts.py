"""Scripts as tests run them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from absl import flags

from gated_pixelcnn.cli import sample, tasks
from gated_pixelcnn.cli.tasks.task import Trained
from gated_pixelcnn.data import photos

ROOT = Path(__file__).parents[1]


def call(script, monkeypatch, *arguments):
    """Runs a script in this process, with flags of its own."""
    values = flags.FlagValues()
    monkeypatch.setattr(script, "FLAGS", values)
    script.define_flags()
    script.main(values(["script", *arguments]))


def prompts(model, names=(), condition_names=(), **given):
    """What sample.py draws from, given some of its flags."""
    values = flags.FlagValues()
    sample.define_flags(values)
    for name, value in given.items():
        values[name].value = value
    values.mark_as_parsed()
    reading = photos.Reading(resize=print if values.resize else None)
    return tasks.choose(values).prompts(
        values, model, Trained(names, condition_names, reading=reading)
    )


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
