"""Compares training on two and four replicas with training on one; needs a process of its own.

TensorFlow's devices must be set up before it starts. Without an argument: whole runs of a Gated
PixelCNN on two replicas; with "rest": steps of all families, and what four replicas do.
"""

import json
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(Path(__file__).parent))

from families import EXACT, FAMILIES, MAIN  # noqa: E402
from family import VALUES  # noqa: E402

import gated_pixelcnn as gpc
from gated_pixelcnn.configs.training import TrainConfig
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.runs import checkpoints
from gated_pixelcnn.training.state import TrainState
from gated_pixelcnn.training.strategies import divide_cpu, make_strategy

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
    "train.eval_images=19",
    "train.eval_batch_size=15",
    "train.log_every=1",
    "train.samples=0",
    "data.flips=true",
]
BATCH = 8


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


def assert_close(found, wanted):
    """Whether arrays by name are equal to the precision of sums in another order."""
    assert found.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4, atol=1e-6, err_msg=name)


def compare_runs(strategies):
    """Whole runs: data, learning rate, validation, checkpoints."""
    with tempfile.TemporaryDirectory() as folder:
        one, reports = run(f"{folder}/one", None)
        for replicas, strategy in strategies.items():
            found, reports_found = run(f"{folder}/{replicas}", strategy)
            assert_close(found, one)
            np.testing.assert_allclose(reports_found, reports, rtol=1e-5)

        # A run on one device goes on with others, in the same place, and with another memory.
        run(f"{folder}/part", None, "train.steps=2")
        part, _ = run(f"{folder}/part", strategies[2], "train.remat=true", "train.accumulation=4")
        assert_close(part, one)

        for replicas, strategy in strategies.items():
            message = f"cannot be divided by {replicas} replicas; choose a multiple of {replicas}"
            with pytest.raises(UserError, match=message):
                run(f"{folder}/odd", strategy, f"train.batch_size={replicas + 1}")


def steps(family, strategy, **settings):
    """Two steps of a family; returns all arrays, and loss and gradient norm of each step."""
    shape, levels, likelihood = VALUES[family.values[0]]
    shape = family.fit(shape)
    images = np.random.default_rng(0).integers(0, levels, (BATCH, *shape)).astype(np.uint8)
    with strategy.scope():
        keras.utils.set_random_seed(0)
        arguments = {"likelihood": likelihood} if family.is_exact else {}
        model = family.model(shape, levels, **arguments, **family.arguments)
        model.build()
        settings = {"batch_size": BATCH, "learning_rate": 1e-4, "clip_norm": 0.1} | settings
        state = TrainState(model, TrainConfig(**settings), 0, strategy)
    share = BATCH // strategy.num_replicas_in_sync

    def part(context):
        first = context.replica_id_in_sync_group * share
        return (tf.constant(images[first : first + share]),)

    batch = strategy.experimental_distribute_values_from_function(part)
    reports = [[float(x) for x in state.make_step(batch)] for _ in range(2)]
    return state.arrays(), reports


def compare_steps(family, strategies, options=()):
    """Steps of a family on one device and on several, and with ways to save memory or time."""
    wanted, reports = steps(family, tf.distribute.get_strategy())
    for strategy in strategies:
        for settings in ({}, *options):
            found, reports_found = steps(family, strategy, **settings)
            assert_close(found, wanted)
            np.testing.assert_allclose(reports_found, reports, rtol=1e-4)


def compare_overflow(family, strategy):
    """A float16 gradient that overflows changes no weight, on no replica, but the step counts."""
    with strategy.scope():
        model = family.model((4, 4, 1), 4, **family.small)
        model.build()
        train = TrainConfig(batch_size=2, precision="mixed_float16")
        state = TrainState(model, train, 0, strategy)
        state.optimizer.dynamic_scale.assign(2.0**100)
    images = tf.zeros((1, 4, 4, 1), tf.uint8)
    batch = strategy.experimental_distribute_values_from_function(lambda _: (images,))
    before = state.model_arrays()
    state.make_step(batch)
    assert_close(state.model_arrays(), before)
    assert int(state.optimizer.iterations.numpy()) == 1 and state.loss_scale == 2.0**99


def main():
    """Fails where they differ, or prints "equal"."""
    divide_cpu(4)
    reduction = tf.distribute.HierarchicalCopyAllReduce()
    strategies = {
        2: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], reduction),
        4: make_strategy("mirrored"),
    }
    assert [s.num_replicas_in_sync for s in strategies.values()] == [2, 4]
    if sys.argv[1:] == ["rest"]:
        options = [{"accumulation": 2, "remat": True}, {"jit": "on"}]
        compare_steps(FAMILIES["gated_pixelcnn"], [strategies[4]], options)
        compare_runs(strategies)
        for name in set(MAIN) & set(EXACT):
            compare_steps(FAMILIES[name], [strategies[2]])
        # Codes begin anew at vectors of all replicas.
        for name in ("vq_vae", "vq_vae-two-maps", "vq_prior"):
            compare_steps(FAMILIES[name], [strategies[4]], [{"accumulation": 2}])
    else:
        for name in ("gated_pixelcnn", "vq_vae"):
            compare_overflow(FAMILIES[name], strategies[2])
        compare_runs({2: strategies[2]})
    print("equal")


if __name__ == "__main__":
    main()
