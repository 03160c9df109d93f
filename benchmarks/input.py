"""Images per second that the input pipeline delivers, against what a model eats on this machine.

    python benchmarks/input.py

All in one process, in turn, medians. The images are those that come with the package, put together
at random to the sizes below, and written to a temporary directory as PNG files and as a TFDS data
set. The TFDS sets of colour images do not tell their size, as downsampled_imagenet does not. The
models are small, so that they eat fast; the exit code is 1 if a pipeline delivers less than
TARGET times as much as its model eats.

Before that, one epoch of the largest TFDS set is streamed and the growth of this process' resident
memory is printed, beside that of loading the set and of making its first batch, and the time that
a fingerprint of as many images takes.
"""

import contextlib
import multiprocessing
import pathlib
import tempfile
import time

from absl import flags, logging

from gated_pixelcnn import errors

_REPEATS = flags.DEFINE_integer("repeats", 3, "Counted measurements.", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 2.0, "Length of each.", lower_bound=0.1)
_IMAGES = flags.DEFINE_integer("images", 40_000, "Images of each TFDS set.", lower_bound=1000)

TARGET = 5
FILES = 4000  # of each folder
STEPS = 5  # of the model, in one measurement

# Size, batch, image shape, arguments of the model.
SIZES = [
    ("28x28x1", 16, (28, 28, 1), {"features": 32, "layers": 8, "kernel_size": 3}),
    ("32x32x3", 16, (32, 32, 3), {"features": 48, "layers": 8, "kernel_size": 3}),
    ("64x64x3", 8, (64, 64, 3), {"features": 48, "layers": 4, "kernel_size": 3}),
]


def make_images(shape, num):
    """Yields `num` images of a shape, put together from real ones."""
    import numpy as np

    from gated_pixelcnn import data

    source = "fashion_mnist" if shape[-1] == 1 else "tiles32"
    pieces = data.load(data.DataConfig(source=f"embedded:{source}")).train.images
    rows, columns = shape[0] // pieces.shape[1], shape[1] // pieces.shape[2]
    rng = np.random.default_rng(0)
    for _ in range(num):
        chosen = pieces[rng.integers(len(pieces), size=(rows, columns))]
        yield np.concatenate(np.concatenate(chosen, axis=1), axis=1)


def write(directory, name, shape, num):
    """Writes a folder of PNG files and a TFDS data set.

    Args:
      directory: Where to.
      name: Size, as a name.
      shape: (H, W, C).
      num: Number of images of the TFDS set.
    """
    errors.import_tensorflow_quietly()
    import PIL.Image
    import tensorflow_datasets as tfds

    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    folder = pathlib.Path(directory) / name
    folder.mkdir()
    for i, image in enumerate(make_images(shape, FILES)):
        PIL.Image.fromarray(image.squeeze()).save(folder / f"{i}.png")
    known = shape if shape[-1] == 1 else (None, None, shape[-1])
    examples = ((i, {"image": image}) for i, image in enumerate(make_images(shape, num)))
    with contextlib.redirect_stdout(None):
        tfds.dataset_builders.store_as_tfds_dataset(
            name=f"images_{name}",
            version="1.0.0",
            features=tfds.features.FeaturesDict({"image": tfds.features.Image(shape=known)}),
            split_datasets={"train": examples},
            data_dir=str(directory),
            disable_shuffling=True,
        )


def load(source, shape, directory="", memory_limit_mb=0):
    """Opens the training images of a source, without holding any of them out."""
    from gated_pixelcnn import data

    return data.load(
        data.DataConfig(
            source=source,
            image_size=shape[0],
            data_dir=directory,
            download=False,
            validation=0,
            memory_limit_mb=memory_limit_mb,
        )
    ).train


def delivered(split, batch, seconds):
    """Measures training batches, with flips.

    Returns:
      Seconds until the first batch, and images per second after it.
    """
    start = time.perf_counter()
    batches = iter(split.train_batches(batch, seed=0, flips=True))
    next(batches)
    first = time.perf_counter() - start
    for _ in range(20):  # prefetched meanwhile
        next(batches)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        next(batches)
        count += batch
    return first, count / (time.perf_counter() - start)


def memory():
    """Resident memory of this process in MB."""
    import psutil

    return psutil.Process().memory_info().rss / 1e6


def print_memory(directory, num):
    """Prints how much memory an epoch of the last size takes: streamed, and loaded."""
    from gated_pixelcnn.data import fingerprint
    from gated_pixelcnn.data.streamed import SHUFFLE_BUFFER

    name, batch, shape, _ = SIZES[-1]
    files = list(pathlib.Path(directory).glob(f"images_{name}/**/*.tfrecord*"))
    encoded = sum(file.stat().st_size for file in files) / 1e6
    decoded = num * shape[0] * shape[1] * shape[2] / 1e6
    source = f"tfds:images_{name}"
    # What TensorFlow takes once for itself is not the pipeline's.
    next(iter(load(source, shape, directory).eval_batches(batch)))
    start = highest = memory()
    split = load(source, shape, directory)
    for i, _ in enumerate(split.train_batches(batch, seed=0).take(num // batch)):
        if i % 100 == 0:
            highest = max(highest, memory())
    print(f"{num:,} images of {name}, {encoded:.0f} MB in TFDS files, {decoded:.0f} MB decoded:")
    print(
        f"  streamed, resident memory grew by {highest - start:.0f} MB at most; the images of ",
        end="",
    )
    print(f"the shuffle buffer take {encoded * min(1, SHUFFLE_BUFFER / num):.0f} MB")
    before_loading = memory()
    split = load(source, shape, directory, memory_limit_mb=10**6)
    print(f"  loaded, it grew by {memory() - before_loading:.0f} MB more")
    before_batches, start = memory(), time.perf_counter()
    next(iter(split.train_batches(batch, seed=0)))
    seconds = time.perf_counter() - start
    print(f"  first batch of these: {seconds:.2f} s, {memory() - before_batches:.0f} MB more")
    start = time.perf_counter()
    fingerprint.of_arrays("train", split.images, None)
    print(f"  fingerprint of these: {1000 * (time.perf_counter() - start):.0f} ms")


def main(_):
    """Prints the memory, then a row per size and source; returns 1 if one of them is too slow."""
    with tempfile.TemporaryDirectory() as directory:
        for name, _, shape, _ in SIZES:
            # In a process of its own: this one's memory is measured.
            arguments = (directory, name, shape, _IMAGES.value)
            child = multiprocessing.get_context("spawn").Process(target=write, args=arguments)
            child.start()
            child.join()
            if child.exitcode:
                return child.exitcode
        return measure(directory)


def measure(directory):
    """See main; the images are in the directory."""
    import machine
    import numpy as np
    import tensorflow as tf

    from gated_pixelcnn.configs.training import TrainConfig
    from gated_pixelcnn.data.batches import ArraySplit
    from gated_pixelcnn.models.families.gated_pixelcnn import GatedPixelCNN
    from gated_pixelcnn.training.state import TrainState

    print(machine.describe())
    print_memory(directory, _IMAGES.value)
    print(
        f"\n{'source':10}{'size':>9}{'batch':>7}{'first batch':>13}{'pipeline images/s':>19}",
        end="",
    )
    print(f"{'model images/s':>16}{'ratio':>8}")
    lowest = float("inf")
    for name, batch, shape, arguments in SIZES:
        sources = {
            "memory": ArraySplit(np.stack(list(make_images(shape, 10_000)))),
            "folder": load(f"folder:{directory}/{name}", shape),
            "tfds": load(f"tfds:images_{name}", shape, directory),
        }
        model = GatedPixelCNN(shape, **arguments)
        model.build()
        state = TrainState(model, TrainConfig(batch_size=batch), 0, tf.distribute.get_strategy())
        images = (tf.constant(sources["memory"].images[:batch]),)

        def steps(state=state, images=images):
            return [state.make_step(images) for _ in range(STEPS)]

        machine.seconds(steps)
        eaten, firsts = [], {source: [] for source in sources}
        rates = {source: [] for source in sources}
        for _ in range(_REPEATS.value):
            for source, split in sources.items():
                first, rate = delivered(split, batch, _SECONDS.value)
                firsts[source].append(first)
                rates[source].append(rate)
            eaten.append(STEPS * batch / machine.seconds(steps))
        for source in sources:
            rate, eats = np.median(rates[source]), np.median(eaten)
            lowest = min(lowest, rate / eats)
            print(
                f"{source:10}{name:>9}{batch:7}{np.median(firsts[source]):12.2f}s{rate:19,.0f}",
                end="",
            )
            print(f"{eats:16,.1f}{rate / eats:8.1f}", flush=True)
    enough = lowest >= TARGET
    print(
        f"\nAll ratios are {'' if enough else 'NOT '}at least {TARGET}; the lowest is {lowest:.1f}."
    )
    return 0 if enough else 1


if __name__ == "__main__":
    errors.run(main)
