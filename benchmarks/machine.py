"""What the benchmarks share: timing within one process, and the machine they ran on."""

import os
import platform
import time

import numpy as np
import tensorflow as tf


def describe():
    """One line about the machine and the versions."""
    devices = [d.device_type for d in tf.config.list_physical_devices()]
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, {', '.join(devices)}, "
        f"Python {platform.python_version()}, TensorFlow {tf.__version__}"
    )


def seconds(function, clock=time.perf_counter):
    """Seconds that one call takes, its result fetched."""
    start = clock()
    for tensor in tf.nest.flatten(function()):
        tensor.numpy()
    return clock() - start


def alternate(functions, repeats, clock=time.perf_counter):
    """Median seconds of several functions, called in turn so that all see the same machine.

    Args:
      functions: name → function without arguments that returns tensors.
      repeats: how often each is called, after one call that does not count.
      clock: what tells the time; `time.process_time` that of this process only, all threads.

    Returns:
      name → median seconds.
    """
    for function in functions.values():
        function()
    times = [{name: seconds(f, clock) for name, f in functions.items()} for _ in range(repeats)]
    return {name: float(np.median([t[name] for t in times])) for name in functions}
