"""Peak memory of a training step of a preset, with and without rematerialisation.

    python benchmarks/memory.py
    python benchmarks/memory.py --preset=codes --override=model.dropout=0

Every row is a process of its own that builds the model and makes one step. What grows with the
batch are the activations: the difference between two batches, divided by that of their sizes.
"""

import json
import resource
import subprocess
import sys
import time

from absl import flags

from gated_pixelcnn.errors import run

_PRESET = flags.DEFINE_string("preset", "imagenet64", "The model.")
_BATCHES = flags.DEFINE_list("batches", ["2", "4"], "Two batch sizes.")
_OVERRIDES = flags.DEFINE_multi_string("override", [], "As --config.… of train.py.")
_ROW = flags.DEFINE_string("row", None, "Makes one step with these settings (JSON) and reports.")

SETTINGS = {"as it is": {}, "remat": {"remat": True}}


def step(settings):
    """Makes one step; returns the peak memory in GB, the seconds and the loss in bits/dim."""
    import keras
    import numpy as np
    import tensorflow as tf

    import gated_pixelcnn as gpc
    from gated_pixelcnn.configs import PRESETS
    from gated_pixelcnn.configs.training import TrainConfig
    from gated_pixelcnn.runs.build import build_model
    from gated_pixelcnn.training.state import TrainState

    name = settings.pop("preset")
    config = gpc.get_config(name, settings.pop("overrides"))
    keras.utils.set_random_seed(0)
    model = build_model(config, PRESETS[name].image_shape, config.data.levels)
    state = TrainState(model, TrainConfig(**settings), 0, tf.distribute.get_strategy())
    shape = (settings["batch_size"], *model.image_shape)
    images = np.random.default_rng(0).integers(0, model.levels, shape)
    images = images.astype(model.image_spec.dtype.as_numpy_dtype)
    start = time.perf_counter()
    loss, _ = state.make_step((tf.constant(images),))
    loss = float(loss)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return peak, time.perf_counter() - start, loss


def main(_):
    """Prints a row per setting and batch."""
    if _ROW.value:
        print(json.dumps(step(json.loads(_ROW.value))))
        return
    import machine

    print(machine.describe())
    print(f"{' '.join([_PRESET.value, *_OVERRIDES.value])}: one step, float32")
    print(f"{'setting':10}{'batch':>6}{'peak GB':>9}{'seconds':>9}{'bits/dim':>10}{'GB/image':>10}")
    batches = [int(batch) for batch in _BATCHES.value]
    for name, settings in SETTINGS.items():
        peaks = []
        for batch in batches:
            row = settings | {"batch_size": batch, "preset": _PRESET.value}
            row["overrides"] = _OVERRIDES.value
            command = [sys.executable, __file__, f"--row={json.dumps(row)}"]
            peak, seconds, loss = json.loads(subprocess.check_output(command).splitlines()[-1])
            peaks.append(peak)
            each = ""
            if len(peaks) == len(batches):
                each = f"{(peaks[-1] - peaks[0]) / (batches[-1] - batches[0]):.2f}"
            print(f"{name:10}{batch:6}{peak:9.2f}{seconds:9.1f}{loss:10.4f}{each:>10}", flush=True)


if __name__ == "__main__":
    run(main)
