"""Training a model: checks, model, work directory, and then the loop."""

import contextlib
import warnings
from pathlib import Path

import keras
import tensorflow as tf
from ml_collections import ConfigDict

from gated_pixelcnn import data, paths
from gated_pixelcnn.configs import flat
from gated_pixelcnn.configs.training import CHANGEABLE_ON_REQUEST, TrainConfig
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.paths import PathLike
from gated_pixelcnn.progress import Progress
from gated_pixelcnn.runs.build import build_model, data_config
from gated_pixelcnn.runs.checkpoints import Checkpoints
from gated_pixelcnn.runs.directory import RunDirectory, differences, record
from gated_pixelcnn.runs.load import load
from gated_pixelcnn.spec import stands_beside
from gated_pixelcnn.training import memory
from gated_pixelcnn.training.loop import Loop, TrainResult
from gated_pixelcnn.training.state import TrainState
from gated_pixelcnn.training.strategies import make_strategy
from gated_pixelcnn.training.tokens import Tokenizer, code_split
from gated_pixelcnn.training.workers import Workers

_FIRST_IMAGES = 16  # that set initial weights, as in the code of PixelCNN++


def train(
    config: ConfigDict,
    workdir: PathLike,
    strategy: str | tf.distribute.Strategy | None = None,
    allow_changes: bool = False,
) -> TrainResult:
    """Trains a model, or goes on with a run that was stopped.

    Ctrl-C and SIGTERM save a checkpoint and end the training.

    Args:
      config: ConfigDict of get_config.
      workdir: Work directory of the run (see RunDirectory); made if it is not there. Of several
        workers only the chief uses it.
      strategy: tf.distribute.Strategy, or the name of one (see make_strategy); by default the one
        in whose scope this is called, else one device.
      allow_changes: Whether a run that is resumed may have another learning rate, schedule or
        clipping than before (`configs.training.CHANGEABLE_ON_REQUEST`).

    Returns:
      TrainResult.

    Raises:
      UserError: a mistake in the configuration or the data; a work directory that cannot be
        written to, is in use, or holds a run of another configuration; a disk that is full; a loss
        or gradient that is not finite; another worker that ended or has another configuration.
        Checkpoints that were there before stay.
      KeyboardInterrupt: Ctrl-C; raised after saving.
    """
    if not isinstance(config, ConfigDict):
        raise UserError(f"config must be a ConfigDict, as get_config gives it, got {config!r}")
    workdir = paths.local(workdir)
    settings = TrainConfig(**config.train)
    if not 0 <= config.seed < 2**32:
        raise UserError(f"seed must be between 0 and 2**32 - 1, but is {config.seed}")
    condition = config.model.get("condition")
    if settings.tokenizer and "tokenizer" not in config.model:
        raise UserError("train.tokenizer is for a prior of codes: choose the family vq_prior")
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    if isinstance(strategy, str):
        strategy = make_strategy(strategy, Progress().say)
    strategy = strategy or tf.distribute.get_strategy()
    workers = Workers(strategy)
    with workers.lost_is_an_error(), contextlib.ExitStack() as stack:
        _check_division(settings, strategy)
        workers.must_agree("configurations", _comparable(config))
        tokenizer = None
        if "tokenizer" in config.model:
            tokenizer = Tokenizer(config, workdir, settings.tokenizer, workers)
            config = tokenizer.put_into(config)
        dataset = data.load(data_config(config), condition=condition)
        condition_size, condition_names = dataset.condition(condition)
        description = record(
            config,
            dataset.image_shape,
            dataset.levels,
            condition_size if stands_beside(condition) else 0,
            dataset.class_names,
            dataset.fingerprint,
            dataset.record() | ({"tokenizer": tokenizer.fingerprint} if tokenizer else {}),
            dataset.condition_names,
        )
        workers.must_agree("data", _facts(dataset))
        with strategy.scope():
            keras.utils.set_random_seed(config.seed)
            model = build_model(
                config,
                dataset.image_shape,
                dataset.levels,
                condition_size,
                dtype=settings.precision,
                condition_names=condition_names,
            )
            _check_whole_batches(model, settings, strategy)
            parts = strategy.num_replicas_in_sync * settings.accumulation
            memory.check(model, settings.batch_size // parts)
        taken = []
        # A run that goes on has its weights: what it started from need not be there any more.
        # Other workers take all from the chief, so what it loads for that is not of the strategy,
        # all of whose workers would have to make the same variables.
        if workers.is_chief and Checkpoints(RunDirectory(workdir).checkpoints).latest() is None:
            if _wants_encoder(model, settings):
                _take_encoder(model, settings.encoder)
            if tokenizer:
                _take_tokenizer(model, tokenizer.model, settings.tokenizer)
            taken = _take_weights(model, settings.init_from)
        with strategy.scope():
            _initialise(model, dataset.train, config.seed, taken)
            state = TrainState(model, settings, config.seed, strategy)
        run = checkpoints = None
        if workers.is_chief:
            run = stack.enter_context(RunDirectory(workdir))
            checkpoints = Checkpoints(run.checkpoints, settings.keep)
            if checkpoints.steps() or (checkpoints.any() and run.config.exists()):
                _refuse_differences(run, description, allow_changes)
            checkpoints.remove_unfinished()
        loop = Loop(config, settings, dataset, state, workers, run, checkpoints)
        if workers.is_chief:
            loop.progress.say(f"{run.path}: {model.count_params():,} parameters")
            _tell(dataset, config.data.held_out_classes, loop.progress)
        loop.restore()
        if tokenizer:
            made_by = [tokenizer.fingerprint, dataset.fingerprint, str(condition)]
            made_by = " ".join([*made_by, config.data.to_json_best_effort()])
            how = (run.path, loop.progress.say) if workers.is_chief else (None, lambda text: None)
            loop.train = code_split(model, dataset.train, made_by, *how)
        if workers.is_chief:
            run.write_config(description)
        return loop.run()


def _tell(dataset, held_out_classes, progress):
    """Prints what was found; warns of classes that are not trained."""
    for line in dataset.report():
        progress.say(line)
    empty = dataset.empty_classes
    if empty and not held_out_classes:
        names = ", ".join(dataset.class_names[label] for label in empty[:5])
        more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
        warnings.warn(
            f"no training image is of class {names}{more}, of {dataset.num_classes} classes: "
            "sample.py --label=all leaves out what is not trained",
            stacklevel=2,
        )


def _initialise(model, split, seed, but):
    """Lets a model set the initial weights that depend on data, but for those of some layers."""
    if model.initialised_by_data:
        batches = split.train_batches(min(_FIRST_IMAGES, split.num_images), seed)
        images, *labels = next(iter(batches))
        model.initialise(images, labels[0] if model.takes_labels else None, but)


def _take_weights(model, workdirs):
    """Gives a model the weights of other runs (train.init_from); returns the layers with some."""
    taken = []
    for workdir in paths.split_names(workdirs, lambda name: Path(paths.local(name)).exists()):
        try:
            found = model.take_weights(load(workdir))
        except ValueError as error:
            raise UserError(f"cannot start from {workdir} (train.init_from): {error}") from error
        if {id(layer) for layer in found} & {id(layer) for layer in taken}:
            raise UserError(
                f"train.init_from={workdirs}: {workdir} has a submodel of the runs before it; "
                "give one run for each submodel (model.train_only)"
            )
        taken += found
    return taken


def _take_tokenizer(model, tokenizer, workdir):
    """Gives a prior of codes the tokenizer of another run (train.tokenizer)."""
    try:
        model.take_tokenizer(tokenizer)
    except ValueError as error:
        raise UserError(f"{workdir} cannot be the train.tokenizer: {error}") from error


def _wants_encoder(model, settings):
    """Whether a model starts with the encoder of another run."""
    own = model.encoder
    return bool(settings.encoder) or (own is not None and not own.trainable)


def _take_encoder(model, workdir):
    """Gives a model the encoder of another run (train.encoder)."""
    if not workdir:
        raise UserError(
            "model.train_encoder=false needs an encoder that was trained: give the run of an "
            "embedding by train.encoder"
        )
    if model.encoder is None:
        raise UserError(
            "train.encoder needs a model that is conditioned on an image: set model.condition=image"
        )
    encoder = load(workdir).encoder
    if encoder is None:
        raise UserError(f"the run {workdir} (train.encoder) has no encoder: it is no embedding")
    found, wanted = encoder.get_config(), model.encoder.get_config()
    keys = {"size": "code_size", "features": "encoder_features", "normalised": "normalised_code"}
    different = [f"model.{keys[k]}={found[k]}" for k in keys if found[k] != wanted[k]]
    shapes = [[w.shape for w in e.weights] for e in (encoder, model.encoder)]
    if different or shapes[0] != shapes[1]:
        hint = f"set {' and '.join(different)}" if different else "its images are of another shape"
        raise UserError(f"the encoder of {workdir} does not fit this model: {hint}")
    model.encoder.set_weights(encoder.get_weights())


def _check_division(settings, strategy):
    """Whether the batch can be cut into equal parts."""
    replicas, parts = strategy.num_replicas_in_sync, settings.accumulation
    if settings.batch_size % (replicas * parts):
        each = f" of {parts} parts (train.accumulation)" if parts > 1 else ""
        raise UserError(
            f"train.batch_size={settings.batch_size}, the images of one step over all replicas, "
            f"cannot be divided by {replicas} replicas{each}; choose a multiple of "
            f"{replicas * parts}"
        )


def _check_whole_batches(model, settings, strategy):
    """Whether a loss that compares the images of a batch with each other sees all of them."""
    if model.images_per_class and max(strategy.num_replicas_in_sync, settings.accumulation) > 1:
        raise UserError(
            f"the {model.loss_unit} compares all images of a batch with each other, so the batch "
            "cannot be divided: give --strategy=one_device and train.accumulation=1"
        )


def _comparable(config):
    return {key: str(value) for key, value in flat(config.to_dict()).items()}


def _facts(dataset):
    """Facts that must be the same for all workers, by name."""
    splits = {"training": dataset.train, "validation": dataset.validation}
    facts = {f"{name} images": s.num_images for name, s in splits.items() if s is not None}
    facts |= {"fingerprint": dataset.fingerprint, "values": dataset.values}
    return {key: str(value) for key, value in (facts | vars(dataset.info)).items()}


def _refuse_differences(run, description, allow_changes):
    different = differences(run.read_config(), description, allow_changes)
    if not different:
        return
    hint = ""
    on_request = [f"train.{name}" for name in CHANGEABLE_ON_REQUEST]
    if all(text.split(":")[0] in on_request for text in different):
        hint = ", or give --allow_changes to go on with the new one"
    raise UserError(
        f"the work directory {run.path} holds a run of another configuration "
        f"({'; '.join(different)}); choose another --workdir or the run's own configuration{hint}"
    )
