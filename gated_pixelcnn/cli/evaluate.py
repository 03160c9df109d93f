"""Tells how well a trained model predicts images, in bits/dim, beside simple baselines.

python evaluate.py --workdir=runs/a
python evaluate.py --workdir=runs/a --json > result.json
python evaluate.py --workdir=runs/ae10 --beside=runs/unconditional
python evaluate.py --workdir=runs/agave --importance_samples=150
"""

import dataclasses
import json
import sys
import warnings

from absl import flags

from gated_pixelcnn import cli, errors
from gated_pixelcnn.cli import pictures
from gated_pixelcnn.cli.labels import named_by_other_numbers
from gated_pixelcnn.data.conditions import KINDS
from gated_pixelcnn.data.config import OF_FILES
from gated_pixelcnn.data.preprocessing import BYTES
from gated_pixelcnn.errors import UserError, nearest
from gated_pixelcnn.files import atomic_write, check_writable
from gated_pixelcnn.models.capabilities import Reconstructs
from gated_pixelcnn.names import matching

FLAGS = flags.FLAGS
READING = ("layout", "values", "alpha", "frames")  # flags
SPLITS = ("test", "validation", "train")


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
    cli.define_reading_flags(FLAGS, layout=True)
    flags.DEFINE_integer("num_images", None, "Only the first images.", flag_values=FLAGS)
    flags.DEFINE_integer("batch_size", 64, "Images per forward pass.", flag_values=FLAGS)
    flags.DEFINE_bool("baselines", True, "Also print the baselines.", flag_values=FLAGS)
    cli.define_path(
        "beside",
        "Directory of another run of images of the same kind: its bits/dim of these images are "
        "printed, too. Again for another one.",
        FLAGS,
        multi=True,
    )
    flags.DEFINE_bool(
        "classify",
        False,
        "Also classify the images, by the class under which each is most probable: one forward "
        "pass per class.",
        flag_values=FLAGS,
    )
    flags.DEFINE_bool(
        "probe",
        False,
        "Of a model with codes or latent variables: also how often a linear function of the code, "
        "and the nearest neighbour, tell the class of an image.",
        flag_values=FLAGS,
    )
    flags.DEFINE_integer(
        "likeness",
        None,
        "Also draw so many images like each, of a model conditioned on images of identities, and "
        "tell how often they have the identity of their source.",
        flag_values=FLAGS,
    )
    flags.DEFINE_integer(
        "importance_samples",
        None,
        "Of a model with latent variables: also the bound of so many draws for every image, "
        "each of which takes a forward pass.",
        flag_values=FLAGS,
    )
    cli.define_path("csv", "File for one line per image.", FLAGS)
    pictures.define_flags(FLAGS)
    flags.DEFINE_bool("json", False, "Print JSON instead of a table.", flag_values=FLAGS)


def main(argv):
    """Runs the script; see the module."""
    cli.check_no_arguments(argv)
    cli.resolve_paths(FLAGS)
    if FLAGS.split not in SPLITS:
        raise UserError(f"--split must be one of {', '.join(SPLITS)}, got {FLAGS.split!r}")
    cli.check_at_least(
        1,
        num_images=FLAGS.num_images,
        batch_size=FLAGS.batch_size,
        likeness=FLAGS.likeness,
        importance_samples=FLAGS.importance_samples,
    )
    cli.read_run(FLAGS)
    errors.import_tensorflow_quietly()
    from gated_pixelcnn.evaluation import report
    from gated_pixelcnn.evaluation.baselines import Baselines
    from gated_pixelcnn.evaluation.bits import BitsPerDim
    from gated_pixelcnn.evaluation.code_prior import CodeBaselines
    from gated_pixelcnn.evaluation.evaluators import ALWAYS, evaluate_all, validation_of
    from gated_pixelcnn.evaluation.images import Images
    from gated_pixelcnn.evaluation.reconstruction import MeanImage
    from gated_pixelcnn.models.density_model import DensityModel

    model, record = cli.load_model(FLAGS)
    for name in (*("beside", "classify", "likeness", "importance_samples", "csv"), *pictures.FLAGS):
        if FLAGS[name].value and not isinstance(model, DensityModel):
            raise UserError(f"--{name} is not possible: {_no_density(model)}")
    if FLAGS.values == BYTES and model.image_spec.is_categorical:
        raise UserError("--values=bytes is of images: this model is of categories")
    others = {workdir: _load_beside(workdir, model) for workdir in FLAGS.beside or ()}
    images = _load_data(record, model)
    split = getattr(images, FLAGS.split)
    if split is None:
        found = " or ".join(f"--split={name}" for name in SPLITS if getattr(images, name))
        raise UserError(f"{images.name} has no {FLAGS.split} images; choose {found}")
    label_map = _label_map(model, record, images, split)
    label_maps = {}
    for workdir, other in others.items():
        with cli.beside(workdir):
            _check_condition(*other, images)
            label_maps[workdir] = _label_map(*other, images, split)
    evaluators = [*ALWAYS, *_asked_for(model)]
    _check_identities(evaluators, model, images.name, split)
    for name in ("csv", *pictures.FLAGS):
        if FLAGS[name].value:
            check_writable(FLAGS[name].value)
    chosen = Images(split, FLAGS.batch_size, FLAGS.num_images, label_map, train=images.train)
    if FLAGS.baselines:
        evaluators += [Baselines(), MeanImage(), CodeBaselines()]
    result = evaluate_all(model, chosen, evaluators)
    scores = {}
    for workdir, (other, _) in others.items():
        with cli.beside(workdir):
            beside = dataclasses.replace(chosen, label_map=label_maps[workdir])
            scores[workdir] = evaluate_all(other, beside, [BitsPerDim()])
    log_probs = result.pop("log_probs", None)
    if scores:
        result["beside"] = {name: score["bits_per_dim"] for name, score in scores.items()}
        bounds = {name: score["is_lower_bound"] for name, score in scores.items()}
        result["beside_is_lower_bound"] = bounds
    if FLAGS.csv:
        _write_csv(FLAGS.csv, log_probs, model.image_shape)
    pictures.draw(FLAGS, model, chosen, {name: other for name, (other, _) in others.items()})
    result = {
        **({"saved_model": str(model.path)} if FLAGS.saved_model else {"workdir": FLAGS.workdir}),
        "source": images.name,
        "split": FLAGS.split,
        "image_shape": list(model.image_shape),
        "levels": model.levels,
        **result,
    }
    text = json.dumps(result, indent=2, allow_nan=False)
    print(text if FLAGS.json else report.of(validation_of(model), result))


def _asked_for(model):
    """The evaluators of the flags, which must apply to the model."""
    from gated_pixelcnn.evaluation.classification import Classification
    from gated_pixelcnn.evaluation.codes import Probe
    from gated_pixelcnn.evaluation.importance_weighted import ImportanceWeighted
    from gated_pixelcnn.evaluation.verification import Likeness

    found = {
        "classify": FLAGS.classify and Classification(),
        "probe": FLAGS.probe and Probe(),
        "likeness": FLAGS.likeness and Likeness(FLAGS.likeness),
        "importance_samples": FLAGS.importance_samples
        and ImportanceWeighted(FLAGS.importance_samples),
    }
    found = {name: evaluator for name, evaluator in found.items() if evaluator}
    for name, evaluator in found.items():
        if not evaluator.applies_to(model):
            raise UserError(f"--{name} needs {evaluator.needs}")
    return list(found.values())


def _check_identities(evaluators, model, source, split):
    """Raises a UserError where identities are compared and the images have no labels."""
    from gated_pixelcnn.evaluation.codes import Probe
    from gated_pixelcnn.evaluation.verification import Likeness, Verification

    if split.has_labels:
        return
    for evaluator in evaluators:
        if isinstance(evaluator, Probe):
            raise UserError(f"--probe needs classes, but {source} has no labels")
        if isinstance(evaluator, Verification) and evaluator.applies_to(model):
            raise UserError(f"an embedding is evaluated by identities, but {source} has no labels")
        if isinstance(evaluator, Likeness):
            raise UserError(f"--likeness needs identities, but {source} has no labels")


def _no_density(model):
    """Says why a model has no bits/dim."""
    reconstructs = isinstance(model, Reconstructs)
    what = "an autoencoder trained for the squared error" if reconstructs else "an embedding"
    return f"this run is of {what}, which gives images no probability"


def _load_beside(workdir, model):
    """Loads a run of --beside: the model and its record."""
    from gated_pixelcnn.models.density_model import DensityModel

    other, record = cli.load_beside(workdir, model)
    if not isinstance(other, DensityModel):
        raise UserError(f"--beside={workdir}: {_no_density(other)}")
    return other, record


def _label_map(model, record, images, split):
    """The model's label for each of the images', or None: the same, or a model without labels.

    Args:
      model: a density model.
      record: config.json of its run.
      images: what was loaded.
      split: the split of them that is evaluated.
    """
    if model.condition_kind != "label":
        return None
    if not split.has_labels:
        raise UserError(f"the model is conditioned on the label, but {images.name} has no labels")
    if images.num_classes > model.condition_size:
        raise UserError(
            f"{images.name} has {images.num_classes} classes, but the model was trained on "
            f"{model.condition_size}"
        )
    known = record["class_names"] or [str(label) for label in range(model.condition_size)]
    return map_labels(images.class_names, known, images.name, images.named)


def _load_data(record, model):
    """Loads the run's images, or others prepared in the same way, that fit the model."""
    from gated_pixelcnn import data
    from gated_pixelcnn.spec import kind_of_images

    options = dict(record["config"]["data"])
    own, source = options["source"], FLAGS.source or options["source"]
    if not source:
        raise UserError("this model is from no run of train.py, so give images by --source")
    # What was decided for the run's images holds for others, too.
    values = record["data"].get("values", options["values"])
    options |= {"source": source, "values": values}
    if FLAGS.source:
        if values == BYTES:
            options["values"] = "auto"
        if source != own:  # its layout is its own, and nothing of it was trained on
            options |= {"layout": "auto", "validation": 0}
        if not source.startswith("folder:"):
            options |= OF_FILES
        if source.partition(":")[0] != own.partition(":")[0]:
            options["condition_feature"] = ""
        chosen = {name: FLAGS[name].value for name in READING}
        options |= {name: value for name, value in chosen.items() if value}
    config = data.DataConfig(**options)
    names = tuple(record["class_names"])
    entries = tuple(record["condition_names"])
    like = data.DataInfo(
        model.image_shape, model.levels, len(names), names, condition_names=entries
    )
    try:
        images = data.load(config, like, model.condition_kind)
    except UserError as error:
        if not FLAGS.source:
            raise
        text = str(error)  # here flags take the place of what a training's configuration says
        for name in READING:
            text = text.replace(f"data.{name}=", f"--{name}=")
        raise UserError(text) from error
    if values == BYTES != images.values and not (FLAGS.values or images.declared):
        raise UserError(
            f"{config.source} has no values of {config.levels} or more, so it may hold levels, but "
            "the run was trained on bytes 0…255: give --values=levels or --values=bytes"
        )
    if source == own and record.get("fingerprint") not in (None, images.fingerprint):
        warnings.warn(
            f"the images of {config.source} are not those that the run was trained on: images "
            "came, went, changed or moved",
            stacklevel=2,
        )
    _check_condition(model, record, images)
    found, wanted = (images.image_shape, images.levels), (model.image_shape, model.levels)
    if found != wanted:
        raise UserError(
            f"the images of {config.source} are {kind_of_images(*found)}, but the model was "
            f"trained on images of {kind_of_images(*wanted)}"
        )
    return images


def _check_condition(model, record, images):
    """Raises a UserError for vectors or maps that are not those that the model was trained on."""
    kind, names = model.condition_kind, tuple(record["condition_names"])
    if kind not in KINDS:
        return
    shape = images.train.condition_shape
    if len(shape) != (1 if kind == "vector" else 3):
        found = {1: "vectors", 3: "maps"}.get(len(shape), "neither vectors nor maps")
        raise UserError(
            f"this model is conditioned on {'vectors' if kind == 'vector' else 'maps'}, but the "
            f"images of {images.name} come with {found} here"
        )
    if images.condition_size != model.condition_size:
        raise UserError(
            f"the condition of the images of {images.name} has {images.condition_size} entries, "
            f"but that of the model {model.condition_size}"
        )
    if names and images.condition_names and images.condition_names != names:
        pairs = zip(images.condition_names, names, strict=True)
        number, (found, wanted) = next((i, p) for i, p in enumerate(pairs) if p[0] != p[1])
        raise UserError(
            f"number {number} of the condition is {found!r} in {images.name}, but {wanted!r} of "
            "the model: give the numbers that it was trained on, in their order"
        )


def map_labels(names, known, source, named=True):
    """Finds the classes of other images among those that the model was trained on.

    Args:
      names: names of the classes of the images, in the order of their labels.
      known: names of the model's classes, in the order of its labels.
      source: where the images are from, for the message.
      named: whether the images' classes have names; else their labels are the model's.

    Returns:
      List of the model's label for each of the images' labels.

    Raises:
      UserError: the model has no such class, or several.
    """
    names, known = list(names), list(known)
    if names == known or not (named or named_by_other_numbers(known)):
        return list(range(len(names)))
    if not named:
        raise UserError(
            f"the labels of {source} are numbers without names, but some classes of the model are "
            "named by other numbers: give the names of the classes (class_names of an npz file)"
        )
    found = [matching(name, known) for name in names]
    unknown = [name for name, other in zip(names, found, strict=True) if other is None]
    if unknown:
        raise UserError(
            f"the model was not trained on the class {unknown[0]!r} of {source} ({len(unknown)} of "
            f"its {len(names)} classes are unknown){nearest(unknown[0], known)}"
        )
    return [known.index(other) for other in found]


def _write_csv(path, log_probs, image_shape):
    from gated_pixelcnn.spec import bits_per_dim

    bits = bits_per_dim(-log_probs, image_shape)
    with atomic_write(path) as file:
        file.write(b"image,nats,bits_per_dim\n")
        for index, (log_prob, bit) in enumerate(zip(log_probs, bits, strict=True)):
            file.write(f"{index},{-log_prob:.6f},{bit:.8f}\n".encode())


def run():
    """The entry point of evaluate.py and of the console command."""
    # What --help prints: this module's text, and its flags as those of the script.
    sys.modules["__main__"].__doc__ = __doc__
    flags.disclaim_key_flags()
    define_flags()
    errors.run(main, load_tensorflow=False)  # main does, when what is cheap was checked
