"""Compares training on two replicas with training on one; needs a process of its own.

TensorFlow's devices must be set up before it starts.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import gated_pixelcnn as gpc
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.training import checkpoints

OVERRIDES = [
    "model.features=4",
    "model.layers=2",
    "model.first_kernel_size=3",
    "train.batch_size=16",
    "train.steps=4",
    "train.warmup_steps=0",
    "train.learning_rate=0.0001",
    "train.schedule=constant",
    "train.clip_norm=0.1",
    "train.ema_decay=0.9",
    "train.eval_every=2",
    "train.eval_images=16",
    "train.log_every=1",
    "train.samples=0",
    "data.flips=true",
]


def run(workdir, strategy, *overrides):
    """Trains; returns the arrays of the last checkpoint and the reports."""
    config = gpc.get_config("digits", [*OVERRIDES, *overrides])
    gpc.train(config, workdir, strategy)
    lines = (Path(workdir) / "metrics.jsonl").read_text().splitlines()
    return checkpoints.Checkpoints(Path(workdir) / "checkpoints").latest()[0], [
        value
        for line in lines
        for name, value in json.loads(line).items()
        if name != "train_images_per_second"
    ]


def main():
    """Fails where the two differ, or prints "equal"."""
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    mirrored = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.HierarchicalCopyAllReduce()
    )
    with tempfile.TemporaryDirectory() as folder:
        one, reports = run(f"{folder}/one", None)
        two, reports_of_two = run(f"{folder}/two", mirrored)
        assert one.keys() == two.keys()
        for name in one:
            np.testing.assert_allclose(two[name], one[name], rtol=1e-4, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(reports_of_two, reports, rtol=1e-5)

        # A run on one device goes on with two replicas, in the same place.
        run(f"{folder}/part", None, "train.steps=2")
        part, _ = run(f"{folder}/part", mirrored)
        for name in one:
            np.testing.assert_allclose(part[name], one[name], rtol=1e-4, atol=1e-6, err_msg=name)

        with pytest.raises(UserError, match="cannot be divided by 2 replicas"):
            run(f"{folder}/odd", mirrored, "train.batch_size=15")
    print("equal")


if __name__ == "__main__":
    main()
