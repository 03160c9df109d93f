"""What the checks of images and labels cost in a step of training.

python benchmarks/checks.py --steps=200

Two states of the same model take steps in turn in one process, one with the checks and one
without; the cost is the median of the ratios of neighbours. As that is within the noise of a step,
a graph of the checks alone is timed, too, and its share in the fastest step.
"""

import time

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_multi_string("config", ["demo", "binarized_mnist_cpu"], "Presets.")
flags.DEFINE_integer("steps", 200, "Pairs of steps.")


def state(config, checked):
    """A TrainState for a preset's 28×28 images, and a batch."""
    import tensorflow as tf

    import gated_pixelcnn as gpc
    from gated_pixelcnn.configs.training import TrainConfig
    from gated_pixelcnn.training.state import TrainState

    classes = 10 if config.model.condition == "label" else 0
    model = gpc.build_model(config, (28, 28, 1), config.data.levels, classes)
    if not checked:
        object.__setattr__(model, "checked", lambda images, condition=None: (images, condition))
    result = TrainState(model, TrainConfig(**config.train), 0, tf.distribute.get_strategy())
    random, num = np.random.default_rng(0), config.train.batch_size
    images = random.integers(0, config.data.levels, (num, 28, 28, 1)).astype(np.uint8)
    labels = random.integers(0, 10, num).astype(np.int32)
    return result, [tf.constant(x) for x in (images, labels)[: 1 + bool(classes)]]


def alone(model, batch):
    """Seconds of the checks by themselves: a graph with them less one without, the fastest runs."""
    import tensorflow as tf

    def last(*batch):
        return [x[-1] for x in batch]

    def checked(*batch):
        return last(*(x for x in model.checked(*batch) if x is not None))

    fastest = []
    for function in (checked, last):
        graph = tf.function(function, autograph=False)
        seconds = []
        for _ in range(2000):
            start = time.perf_counter()
            graph(*batch)
            seconds.append(time.perf_counter() - start)
        fastest.append(np.percentile(seconds, 5))
    return fastest[0] - fastest[1]


def main(_):
    """Prints a line for every preset."""
    import gated_pixelcnn as gpc

    for name in FLAGS.config:
        config = gpc.get_config(name)
        states = [state(config, checked) for checked in (True, False)]
        seconds = []
        for step in range(FLAGS.steps + 5):
            pair = [0.0, 0.0]
            for which in (0, 1) if step % 2 else (1, 0):
                one, batch = states[which]
                start = time.perf_counter()
                float(one.make_step(batch)[0])
                pair[which] = time.perf_counter() - start
            seconds.append(pair)
        seconds = np.array(seconds[5:])
        ratios = np.sort(seconds[:, 0] / seconds[:, 1])
        error = 1.2533 * ratios.std() / np.sqrt(len(ratios))  # of a median
        with_, without = 1000 * np.median(seconds, axis=0)
        by_itself = alone(states[0][0].model, states[0][1])
        share = 100 * by_itself / seconds.min()
        print(
            f"{name}: {with_:.2f} ms with, {without:.2f} ms without; "
            f"{100 * (np.median(ratios) - 1):+.2f} ± {100 * error:.2f} %; alone "
            f"{1e6 * by_itself:.0f} µs, {share:.3f} % of the fastest step",
            flush=True,
        )


if __name__ == "__main__":
    app.run(main)
