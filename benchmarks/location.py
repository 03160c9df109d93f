"""What location-dependent conditioning adds: equation 5 of 2016b, s = m(h), against equation 4.

    python benchmarks/location.py --picture=docs/location.png

The label tells at which of nine places an image has its object; shape, offset and brightness are
random, and so is the noise around it. The network sees five pixels far and no object begins closer
to the border, so to it all places look alike: only the condition can tell where it is. The same
model is trained three times, with as many steps of as many images:

- label: one bias per class and layer, the same at all positions (spatial_features=0);
- m(h): a deconvolutional net makes maps of the label, learnt with the rest;
- map: the condition is a map already, 1 at the place and 0 elsewhere (condition="spatial"). It
  comes from no data set, so Keras' own fit trains it.

The distribution of the images is known, so the table has the bits per image that a model wastes:
its code length of the test images above their shortest one.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
from absl import flags

from gated_pixelcnn.errors import run

_STEPS = flags.DEFINE_integer("train_steps", 1500, "Steps of each model.", lower_bound=1)
_SAMPLES = flags.DEFINE_integer("samples", 50, "Samples per place and model.", lower_bound=1)
_PICTURE = flags.DEFINE_string("picture", "", "PNG file for samples of each model.")

LEVELS = 4
MARGIN, PLACE, OBJECT = 5, 6, 5  # pixels: to the border, side of a place, side of an object
SIZE = 2 * MARGIN + 3 * PLACE
PLACES = 9
OFFSETS = (PLACE - OBJECT + 1) ** 2  # of an object within its place
NOISE = 0.05  # share of the pixels around an object that are 1 and not 0
BRIGHT = 2  # the least level of an object
_DRAWN = (
    "##### ##### ##### ##### #####",
    "##### #...# #...# #...# #####",
    "..#.. ..#.. ##### ..#.. ..#..",
    "#...# .#.#. ..#.. .#.#. #...#",
)
SHAPES = np.array([[[c == "#" for c in row] for row in shape.split()] for shape in _DRAWN])
LEAST = int(SHAPES.sum(axis=(1, 2)).min())  # pixels of an object
# By name, what they have that the others have not.
MODELS = {
    "label": ["model.spatial_features=0"],
    "m(h)": ["model.spatial_features=16"],
    "map": ["model.condition=spatial", "model.spatial_features=0"],
}

# The images.


def corner(label):
    """Row and column where places begin, integers of the shape of `label`."""
    label = np.asarray(label)
    return MARGIN + PLACE * (label // 3), MARGIN + PLACE * (label % 3)


def place_maps(labels):
    """1 at the place of each label and 0 elsewhere, float32 [N, SIZE, SIZE, 1]."""
    steps = np.arange(SIZE)
    top, left = (start[:, np.newaxis] for start in corner(labels))
    rows, columns = ((s <= steps) & (steps < s + PLACE) for s in (top, left))
    return (rows[:, :, np.newaxis] & columns[:, np.newaxis])[..., np.newaxis].astype(np.float32)


def make_images(num, seed):
    """Draws images uint8 [num, SIZE, SIZE, 1] of values 0…3, and their labels int32 [num]."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, PLACES, num).astype(np.int32)
    images = (random.random((num, SIZE, SIZE, 1)) < NOISE).astype(np.uint8)
    shapes = SHAPES[random.integers(0, len(SHAPES), num)]
    brightness = random.integers(BRIGHT, LEVELS, (num, OBJECT, OBJECT))
    tops, lefts = corner(labels) + random.integers(0, PLACE - OBJECT + 1, (2, num))
    for image, shape, values, top, left in zip(
        images, shapes, brightness, tops, lefts, strict=True
    ):
        image[top : top + OBJECT, left : left + OBJECT, 0][shape] = values[shape]
    return images, labels


def shortest_bits(images):
    """Code length of each image under the distribution it was drawn from, given its label [N].

    No two pairs of shape and offset have the same bright pixels, so these tell the pair.
    """
    kinds = images >= BRIGHT, images == 1, images == 0
    bright, ones, zeros = (kind.sum(axis=(1, 2, 3)) for kind in kinds)
    choices = np.log2(OFFSETS * len(SHAPES)) + bright * np.log2(LEVELS - BRIGHT)
    return choices - ones * np.log2(NOISE) - zeros * np.log2(1 - NOISE)


# Where samples have their objects.


def in_place(images, labels):
    """Whether the place that the label names has as many bright pixels as an object [N]."""
    return ((images >= BRIGHT) * place_maps(labels)).sum(axis=(1, 2, 3)) >= LEAST


def elsewhere(images, labels):
    """Bright pixels that are not at the place that the label names [N]."""
    return ((images >= BRIGHT) * (1 - place_maps(labels))).sum(axis=(1, 2, 3))


def distance(images, labels):
    """Pixels from the centre of the place to that of the bright pixels [N], NaN without any."""
    bright = (np.asarray(images) >= BRIGHT)[..., 0]
    count = bright.sum(axis=(1, 2))
    steps = np.arange(SIZE)
    with np.errstate(invalid="ignore"):
        row = (bright.sum(axis=2) * steps).sum(axis=1) / count
        column = (bright.sum(axis=1) * steps).sum(axis=1) / count
    top, left = corner(labels)
    middle = (PLACE - 1) / 2
    return np.hypot(row - top - middle, column - left - middle)


# The models.


def configuration(source, steps, *overrides):
    """The same model and budget for all; `overrides` are what differs."""
    import gated_pixelcnn as gpc

    every = max(1, min(500, steps))
    return gpc.get_config(
        "demo",
        [
            f"data.source={source}",
            f"data.levels={LEVELS}",
            "model.features=24",
            "model.layers=4",  # the first sees two pixels far, the others one pixel further each
            "model.kernel_size=3",
            "model.first_kernel_size=3",
            f"train.steps={steps}",
            "train.minutes=0",
            "train.batch_size=32",
            "train.learning_rate=0.004",
            "train.ema_decay=0.99",
            f"train.eval_every={every}",
            f"train.save_every={every}",
            "train.samples=0",
            *overrides,
        ],
    )


def train_by_label(config, workdir):
    """Trains from the npz file and loads the averaged weights."""
    import gated_pixelcnn as gpc

    result = gpc.train(config, workdir)
    if result.stopped_by != "steps":
        raise gpc.UserError(f"stopped by {result.stopped_by} at step {result.step}")
    return gpc.load(workdir, checkpoint="latest")


def train_by_map(config, images, labels):
    """Trains with maps for a condition, by Keras' fit, as the configuration says."""
    import keras
    import tensorflow as tf

    import gated_pixelcnn as gpc

    settings = config.train
    keras.utils.set_random_seed(config.seed)
    model = gpc.build_model(config, images.shape[1:], LEVELS, condition_size=1)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=max(1, settings.steps - settings.warmup_steps),
        alpha=settings.final_fraction,
        warmup_target=settings.learning_rate,
        warmup_steps=settings.warmup_steps,
    )
    averaged = {"use_ema": True, "ema_momentum": settings.ema_decay}
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=settings.clip_norm, **averaged))
    maps = tf.constant(place_maps(np.arange(PLACES)))
    pairs = tf.data.Dataset.from_tensor_slices((images, labels))
    pairs = pairs.shuffle(len(images), seed=config.seed).repeat().batch(settings.batch_size)
    pairs = pairs.map(lambda image, label: (image, tf.gather(maps, label)))
    model.fit(pairs, epochs=1, steps_per_epoch=settings.steps, shuffle=False, verbose=0)
    return model


def code_length(model, condition, images):
    """How well a model predicts the test images."""
    import gated_pixelcnn as gpc

    found = gpc.evaluate(model, images, condition)
    wasted = -found["log_probs"] / np.log(2) - shortest_bits(images)
    error = wasted.std() / np.sqrt(len(wasted))
    return {
        "parameters": f"{model.count_params():,}",
        "bits/dim": f"{found['bits_per_dim']:.4f}",
        "wasted bits": f"{wasted.mean():.2f} ± {error:.2f}",
    }


def places(images, labels):
    """Whether images have their objects where the labels say."""
    right, stray = in_place(images, labels), elsewhere(images, labels)
    return {
        "in place": f"{right.mean():.1%}",
        "only there": f"{(right & (stray == 0)).mean():.1%}",
        "distance": f"{np.nanmean(distance(images, labels)):.1f} px",
    }


def experiment(directory, steps, labels):
    """Trains the three models and draws samples of them.

    Args:
      directory: for the images and the runs.
      steps: of each training.
      labels: of the samples.

    Returns:
      Rows of the table and samples uint8 [N, SIZE, SIZE, 1], both by the name of the model.
    """
    sizes = {"train": 10_000, "val": 500, "test": 2000}
    splits = {name: make_images(num, seed) for seed, (name, num) in enumerate(sizes.items())}
    arrays = {f"x_{name}": images for name, (images, _) in splits.items()}
    arrays |= {f"y_{name}": classes for name, (_, classes) in splits.items()}
    np.savez(directory / "places.npz", **arrays)
    source = f"npz:{directory / 'places.npz'}"
    test, classes = splits["test"]

    rows, samples = {}, {}
    for name, overrides in MODELS.items():
        config = configuration(source, steps, *overrides)
        start = time.monotonic()
        if config.model.condition == "spatial":
            model, condition_of = train_by_map(config, *splits["train"]), place_maps
        else:
            model, condition_of = train_by_label(config, directory / name), np.asarray
        took = time.monotonic() - start
        samples[name] = np.asarray(model.sample(condition=condition_of(labels), seed=0))
        rows[name] = code_length(model, condition_of(classes), test)
        rows[name] |= places(samples[name], labels) | {"training": f"{took:.0f} s"}
    shortest = {"bits/dim": f"{shortest_bits(test).mean() / SIZE**2:.4f}", "wasted bits": "0"}
    rows["the images"] = shortest | places(test, classes)
    return rows, samples


def main(_):
    """Prints a row per model."""
    import machine

    from gated_pixelcnn.files import check_writable
    from gated_pixelcnn.visualization import captioned, grid, save_png

    if _PICTURE.value:
        check_writable(_PICTURE.value)
    print(machine.describe())
    labels = np.repeat(np.arange(PLACES), _SAMPLES.value)
    with tempfile.TemporaryDirectory() as directory:
        rows, samples = experiment(Path(directory), _STEPS.value, labels)

    columns = list(rows["label"])
    print(f"{'condition':11}" + "".join(f"{column:>16}" for column in columns))
    for name, row in rows.items():
        print(f"{name:11}" + "".join(f"{row.get(column, ''):>16}" for column in columns))
    if _PICTURE.value:
        first = [images[:: _SAMPLES.value] for images in samples.values()]  # one of every place
        picture = grid(np.concatenate(first), LEVELS, columns=PLACES, magnify=3)
        save_png(_PICTURE.value, captioned(picture, list(samples)))
        print(f"wrote {_PICTURE.value}")


if __name__ == "__main__":
    run(main)
