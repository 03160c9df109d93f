"""Short trainings for tests: their configuration, and what they leave behind."""

import json

import numpy as np

import gated_pixelcnn as gpc
from gated_pixelcnn.runs import checkpoints
from gated_pixelcnn.training.state import TrainState

OVERRIDES = [
    "model.features=4",
    "model.layers=2",
    "model.first_kernel_size=3",
    "train.batch_size=16",
    "train.steps=6",
    "train.warmup_steps=4",
    "train.log_every=4",
    "train.eval_every=3",
    "train.eval_images=40",
    "train.save_every=2",
    "train.keep=2",
    "train.sample_every=3",
    "train.samples=0",
]


def config(*overrides):
    return gpc.get_config("digits", [*OVERRIDES, *overrides])


def final_arrays(workdir):
    return checkpoints.Checkpoints(workdir / "checkpoints").latest()[0]


def metrics(workdir):
    """The reports without what depends on the clock."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "train_images_per_second"} for line in lines]


def assert_same_run(workdir, expected):
    found, wanted = final_arrays(workdir), final_arrays(expected)
    assert found.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)
    assert metrics(workdir) == metrics(expected)


def at_step(monkeypatch, step, action):
    """Does something right after a step was made."""
    make_step = TrainState.make_step

    def patched(self, batch):
        result = make_step(self, batch)
        if self.step == step:
            action()
        return result

    monkeypatch.setattr(TrainState, "make_step", patched)


def steps_made(monkeypatch):
    """A list to which the number of every step is added."""
    steps, make_step = [], TrainState.make_step

    def patched(self, batch):
        steps.append(self.step)
        return make_step(self, batch)

    monkeypatch.setattr(TrainState, "make_step", patched)
    return steps
