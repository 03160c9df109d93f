"""Time to draw one image: Grayscale and Pyramid PixelCNN against PixelCNN++ (2017, section 4).

    python benchmarks/single.py

The papers' argument for a pyramid: what is expensive is computed once per image and not once per
pixel. All models are in one process, their calls in turn; medians. Told are seconds of computing on
one core, which the process keeps to (what else the machine does counts little), and seconds by the
clock of the wall. The weights are the initial ones: the time does not depend on them.
"""

import os
import time

from absl import flags

from gated_pixelcnn.errors import run

_REPEATS = flags.DEFINE_integer("repeats", 7, "Counted calls of each model.", lower_bound=1)
_CORE = flags.DEFINE_integer("core", 0, "The core that is used.", lower_bound=0)

# Preset, overrides; the presets in one group are of comparable size.
GROUPS = [
    [("pixelcnn_pp", []), ("grayscale", []), ("pyramid", [])],
    [
        ("pixelcnn_pp_cifar10", []),
        ("pixelcnn_pp_cifar10", ["model.features=100"]),
        ("grayscale_cifar10", []),
        ("pyramid_cifar10", []),
    ],
]


def main(_):
    """Prints a row per model, the ratios to the first of its group."""
    os.sched_setaffinity(0, {_CORE.value})
    import machine
    import trials

    import gated_pixelcnn as gpc

    print(machine.describe())
    lines = []
    for group in GROUPS:
        models = {}
        for preset, overrides in group:
            config = gpc.get_config(preset, overrides)
            models[" ".join([preset, *overrides])] = gpc.build_model(config, (32, 32, 3), 256)
        calls = {name: lambda model=model: model.sample(1) for name, model in models.items()}
        of_core = machine.alternate(calls, _REPEATS.value, time.process_time)
        of_wall = machine.alternate(calls, _REPEATS.value)
        first = next(iter(of_core.values()))
        for name, model in models.items():
            times = f"{of_core[name]:.3f} s", f"{of_wall[name]:.3f} s"
            faster = f"{first / of_core[name]:.1f}"
            lines.append([name, f"{model.count_params():,}", *times, faster])
    trials.tell(["model", "parameters", "of the core", "of the wall", "times faster"], lines)


if __name__ == "__main__":
    run(main)
