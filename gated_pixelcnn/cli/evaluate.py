"""Tells how well a trained model predicts images, in bits/dim, beside simple baselines.

python evaluate.py --workdir=runs/a
python evaluate.py --workdir=runs/a --json > result.json
"""

import collections
import dataclasses
import json
import sys

import numpy as np
from absl import flags

from gated_pixelcnn import cli, errors
from gated_pixelcnn.errors import UserError, nearest
from gated_pixelcnn.images import check_writable, written_aside

FLAGS = flags.FLAGS
SPLITS = ("test", "validation", "train")
HISTOGRAM_IMAGES = 50_000  # The baseline's histogram is fitted on at most so many images.
WRONG = {"label": "with a wrong label", "image": "another's code"}  # by the kind of condition
COLOURS = {1: ("gray",), 3: ("red", "green", "blue")}


def define_flags():
    """Defines the script's flags."""
    cli.define_model_flags(FLAGS)
    flags.DEFINE_string("split", "test", f"One of {', '.join(SPLITS)}.", flag_values=FLAGS)
    flags.DEFINE_string(
        "source",
        None,
        "Other images than those of the run: embedded:<name>, tfds:<name>, folder:<directory> or "
        "npz:<file>.",
        flag_values=FLAGS,
    )
    flags.DEFINE_integer("num_images", None, "Only the first images.", flag_values=FLAGS)
    flags.DEFINE_integer("batch_size", 64, "Images per forward pass.", flag_values=FLAGS)
    flags.DEFINE_bool("baselines", True, "Also print the baselines.", flag_values=FLAGS)
    flags.DEFINE_bool(
        "classify",
        False,
        "Also classify the images, by the class that makes each likeliest: one forward pass per "
        "class.",
        flag_values=FLAGS,
    )
    flags.DEFINE_string("csv", None, "File for one line per image.", flag_values=FLAGS)
    flags.DEFINE_bool("json", False, "Print JSON instead of a table.", flag_values=FLAGS)


def main(argv):
    """Runs the script; see the module."""
    from gated_pixelcnn import evaluation
    from gated_pixelcnn.models.embedding import Embedding

    cli.check_no_arguments(argv)
    if FLAGS.split not in SPLITS:
        raise UserError(f"--split must be one of {', '.join(SPLITS)}, got {FLAGS.split!r}")
    cli.check_at_least(1, num_images=FLAGS.num_images, batch_size=FLAGS.batch_size)
    model, record = cli.load_model(FLAGS.workdir, FLAGS.saved_model)
    images = _load_data(record, model)
    split = getattr(images, FLAGS.split)
    if split is None:
        found = " or ".join(f"--split={name}" for name in SPLITS if getattr(images, name))
        raise UserError(f"{images.name} has no {FLAGS.split} images; choose {found}")
    if isinstance(model, Embedding):
        return _verify(model, images.name, split)
    if model.condition_kind == "label" and not split.has_labels:
        raise UserError(f"the model is conditioned on the label, but {images.name} has no labels")
    if FLAGS.classify and model.condition_kind != "label":
        raise UserError("--classify needs a model that is conditioned on the class (the label)")
    label_map = None
    if FLAGS.source and model.condition_kind == "label":
        known = record["class_names"] or [str(label) for label in range(model.condition_size)]
        label_map = map_labels(images.class_names, known, images.name)
    if FLAGS.csv:
        check_writable(FLAGS.csv)

    try:
        arguments = (model, split, FLAGS.batch_size, FLAGS.num_images, label_map)
        result = evaluation.score(*arguments)
        if model.condition_kind in WRONG and model.condition_size > 1:
            wrong = evaluation.score(*arguments, wrong_condition=True)
            result["wrong_condition_bits_per_dim"] = wrong["bits_per_dim"]
            result["condition"] = model.condition_kind
        if FLAGS.classify:
            result["accuracy"] = evaluation.classify(*arguments)["accuracy"]
    except FloatingPointError as error:
        raise UserError(str(error)) from error
    log_probs = result.pop("log_probs")
    result = {
        **({"saved_model": str(model.path)} if FLAGS.saved_model else {"workdir": FLAGS.workdir}),
        "source": images.name,
        "split": FLAGS.split,
        "image_shape": list(model.image_shape),
        "levels": model.levels,
        **result,
    }
    if FLAGS.baselines:
        result["baselines"] = _baselines(images, split)
    if FLAGS.csv:
        _write_csv(FLAGS.csv, log_probs, model.image_shape)
    print(json.dumps(result, indent=2, allow_nan=False) if FLAGS.json else table(result))


def _verify(model, source, split):
    """What evaluate.py tells of an embedding: how well it knows an identity."""
    from gated_pixelcnn import verification

    if not split.has_labels:
        raise UserError(f"an embedding is evaluated by identities, but {source} has no labels")
    arguments = (split, FLAGS.batch_size, FLAGS.num_images)
    vectors, labels = verification.embed(model, *arguments)
    pixels, _ = verification.embed(lambda images: images.reshape(len(images), -1), *arguments)
    result = {
        "source": source,
        "split": FLAGS.split,
        "num_images": len(labels),
        "num_identities": len(np.unique(labels)),
        "auc": verification.auc(vectors, labels),
        "pixel_auc": verification.auc(pixels, labels),
    }
    if FLAGS.json:
        print(json.dumps(result, indent=2, allow_nan=False))
        return
    print(
        f"{result['num_images']} {FLAGS.split} images of {result['num_identities']} identities of "
        f"{source}\n\n{'':<22}AUC of verification\n"
        f"  {'embedding':<18}{result['auc']:>10.4f}\n"
        f"  {'pixel distance':<18}{result['pixel_auc']:>10.4f}"
    )


def _load_data(record, model):
    """Loads the run's images, or others prepared in the same way, that fit the model."""
    from gated_pixelcnn import data

    config = data.DataConfig(**record["config"]["data"])
    if FLAGS.source:
        config = dataclasses.replace(config, source=FLAGS.source)
    images = data.load(config)
    found, wanted = (images.image_shape, images.levels), (model.image_shape, model.levels)
    if found != wanted:
        raise UserError(
            f"the images of {config.source} are {_kind(*found)}, but the model was trained on "
            f"images of {_kind(*wanted)}"
        )
    if model.condition_kind == "label" and images.num_classes > model.condition_size:
        raise UserError(
            f"{config.source} has {images.num_classes} classes, but the model was trained on "
            f"{model.condition_size}"
        )
    return images


def map_labels(names, known, source):
    """Finds the classes of other images among those that the model was trained on.

    Args:
      names: names of the classes of the images, in the order of their labels. Where they are only
        "0", "1", … and those of the model are words, they are the model's labels.
      known: names of the model's classes, in the order of its labels.
      source: where the images are from, for the message.

    Returns:
      List of the model's label for each of the images' labels.

    Raises:
      UserError: the model has no such class, or several.
    """
    names, known = list(names), list(known)
    unnamed = names == [str(label) for label in range(len(names))]
    if names == known or (unnamed and not any(name.isdecimal() for name in known)):
        return list(range(len(names)))
    counts = collections.Counter(name.casefold() for name in known)
    labels = {name.casefold(): label for label, name in enumerate(known)}
    unknown = [name for name in names if counts[name.casefold()] != 1]
    if unknown:
        raise UserError(
            f"the model was not trained on the class {unknown[0]!r} of {source} ({len(unknown)} of "
            f"its {len(names)} classes are unknown){nearest(unknown[0], known)}"
        )
    return [labels[name.casefold()] for name in names]


def _baselines(images, split):
    from gated_pixelcnn import baselines, evaluation

    def batches(of_split, num_images):
        for batch, _ in evaluation.split_batches(of_split, 256, num_images):
            yield batch

    return baselines.baselines(
        batches(images.train, HISTOGRAM_IMAGES),
        batches(split, FLAGS.num_images),
        images.image_shape,
        images.levels,
    )


def _write_csv(path, log_probs, image_shape):
    from gated_pixelcnn import evaluation

    bits = evaluation.bits_per_dim(-log_probs, image_shape)
    with written_aside(path) as file:
        file.write(b"image,nats,bits_per_dim\n")
        for index, (log_prob, bit) in enumerate(zip(log_probs, bits, strict=True)):
            file.write(f"{index},{-log_prob:.6f},{bit:.8f}\n".encode())


def table(result):
    """Formats a result for people.

    Args:
      result: the dict that `--json` prints.

    Returns:
      Lines of text.
    """
    kind = _kind(result["image_shape"], result["levels"])
    bound = "at most " if result["is_lower_bound"] else ""
    error = result["standard_error"]
    error = "" if error is None else f" ± {error:.4f} (standard error)"
    lines = [
        f"{result['num_images']} {result['split']} images of {result['source']}, {kind}",
        "",
        f"{'':<22}bits/dim",
        f"  {'model':<18}{bound}{result['bits_per_dim']:>10.4f}{error}",
    ]
    channels = result["bits_per_channel"]
    if len(channels) > 1:
        names = COLOURS.get(len(channels)) or [f"channel {c}" for c in range(len(channels))]
        lines += [
            f"    {name:<16}{bits:>10.4f}" for name, bits in zip(names, channels, strict=True)
        ]
    if "wrong_condition_bits_per_dim" in result:
        what = WRONG[result["condition"]]
        lines.append(f"  {what:<18}{result['wrong_condition_bits_per_dim']:>10.4f}")
    names = {
        "uniform": "uniform",
        "histogram": "pixel histograms",
        "png": "PNG files",
        "webp": "lossless WebP",
    }
    for name, bits in result.get("baselines", {}).items():
        lines.append(f"  {names[name]:<18}{bits:>10.4f}")
    lines += [
        "",
        *(
            [f"  {'classified right':<18}{result['accuracy']:>10.1%}"]
            if "accuracy" in result
            else []
        ),
        f"  {'nats per image':<18}{bound}{result['nats']:>10.4f}",
        f"  {'images/s':<18}{result['images_per_second']:>10.1f}",
    ]
    return "\n".join(lines)


def _kind(image_shape, levels):
    return f"{'x'.join(map(str, image_shape))} with {levels} levels"


def run():
    """The entry point of evaluate.py and of the console command."""
    # What --help prints: this module's text, and its flags as those of the script.
    sys.modules["__main__"].__doc__ = __doc__
    flags.disclaim_key_flags()
    define_flags()
    errors.run(main)
