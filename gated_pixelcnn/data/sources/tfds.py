"""Source `tfds:<name>`: TensorFlow Datasets, by name or `name/config`.

The image is the feature `image` or the only image feature; the label is `label` or the only
class label, if there is one. The splits are `train`, `validation` and `test`, where they exist.
Vectors and maps are a feature of numbers, or a dictionary of single numbers or booleans, whose keys
are the names of the entries.
"""

import dataclasses
import logging
import re
import socket
import urllib.request

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from gated_pixelcnn import paths
from gated_pixelcnn.data import fingerprint, preprocessing, splits
from gated_pixelcnn.data.batches import input_error, sentence_in
from gated_pixelcnn.data.python_calls import numpy_function
from gated_pixelcnn.data.streamed import StreamSplit
from gated_pixelcnn.errors import UserError, first_line, nearest

PROBED_IMAGES = 100  # looked at, at least, when a streamed set is opened
JPEG = b"\xff\xd8\xff"
DOWNLOAD_HOST = "storage.googleapis.com"


@dataclasses.dataclass(frozen=True)
class Features:
    """Names of the features of a TFDS data set that hold images and labels.

    Attributes:
      image: Key of the image feature.
      label: Key of the label feature, or None.
      shape: (H, W, C) of the images as they are stored; None where it is not known.
      class_names: Names of the classes, empty without labels.
      condition: Key of the feature of conditions, or None.
      condition_shape: (D,) or (H, W, D), () without.
      condition_names: Names of the entries of conditions, where they are known.
    """

    image: str
    label: str | None
    shape: tuple[int | None, int | None, int | None]
    class_names: tuple[str, ...]
    condition: str | None = None
    condition_shape: tuple[int, ...] = ()
    condition_names: tuple[str, ...] = ()


def load(name, config, condition=None, like=None):
    """Loads a TFDS data set, or opens it if it is big; see data.load. `like` is not needed."""
    builder = _builder(name, config)
    _make_ready(builder, name, config)
    features = _features(builder, config, condition)
    counts = _counts(builder, name)
    shape = _shape(builder, features, config)
    decode = _decoder(builder, features, shape, config)
    found = features.class_names, fingerprint.of_version(builder.info.full_name, counts)
    entries = {"condition_names": features.condition_names}
    size = np.prod(shape) + (4 * np.prod(features.condition_shape) if features.condition else 0)
    if sum(counts.values()) * size > config.memory_limit_mb * 10**6:
        streams, values = _streams(builder, counts, features, shape, decode, config)
        return splits.make_data(config, streams, *found, values=values, **entries)
    arrays = {
        split: _read_all(builder, split, count, features, shape, decode)
        for split, count in counts.items()
    }
    return splits.from_arrays(config, arrays, *found, **entries)


def describe(name, config, condition=None):
    """Describes a TFDS data set, which need not be downloaded; see data.describe."""
    builder = _builder(name, config)
    features = _features(builder, config, condition)
    known = preprocessing.prepared_shape(features.shape, config)
    if None in known and not builder.is_prepared():
        raise UserError(
            f"the image size of TFDS data set {name!r} is not known before it is downloaded; set "
            f"data.image_size"
        )
    shape = _shape(builder, features, config)
    entries = {"condition_names": features.condition_names}
    if features.condition:
        entries["condition_size"] = features.condition_shape[-1]
    return splits.make_info(config, shape, features.class_names, **entries)


def _builder(name, config):
    if re.match(r"[^/:]+:[^/\d*]", name):  # a namespace; after the name comes a version
        raise UserError(
            f"TFDS data set {name!r} is of a community, whose code would be run; give its images "
            "as folder: or npz: instead"
        )
    try:
        return tfds.builder(name, data_dir=paths.local(config.data_dir) or None)
    except tfds.core.DatasetNotFoundError as error:
        known = tfds.list_builders(with_community_datasets=False)
        raise UserError(
            f"there is no TFDS data set {name!r}{nearest(name.split('/')[0], known)}"
        ) from error
    except Exception as error:  # of every kind: missing packages, wrong versions and configs
        raise UserError(f"TFDS data set {name!r} cannot be used: {first_line(error)}") from error


def _make_ready(builder, name, config):
    """Downloads the data set unless it is on disk."""
    if builder.is_prepared():
        return
    place = f"TFDS data set {name!r} is not in {builder.data_dir}"
    if not config.download:
        raise UserError(f"{place} and data.download is False; download it or set data.data_dir")
    if not _is_online():
        raise UserError(
            f"{place} and cannot be downloaded, as this machine is offline; connect it, or copy a "
            f"prepared data set there or to data.data_dir"
        )
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    try:
        builder.download_and_prepare()
    except Exception as error:  # of every kind: connections, checksums, disks
        raise UserError(
            f"{place} and could not be downloaded and prepared there ({first_line(error)})"
        ) from error


def _is_online():
    """Returns whether names are resolved: TFDS itself tries for minutes before it says no.

    Behind a proxy this machine need not resolve names, so the answer is yes.
    """
    if urllib.request.getproxies():
        return True
    try:
        socket.getaddrinfo(DOWNLOAD_HOST, 443)
        return True
    except OSError:
        return False


def _features(builder, config, condition):
    """Finds the image, the label and the condition in the features of a data set."""
    features = dict(builder.info.features)
    image = _only(features, "image", tfds.features.Image)
    if image is None:
        raise UserError(
            f"TFDS data set {builder.name!r} must have a feature 'image' or just one image feature,"
            f" but its features are {', '.join(features)}"
        )
    if features[image].dtype != np.uint8:
        raise UserError(
            f"the images of TFDS data set {builder.name!r} are of type "
            f"{np.dtype(features[image].dtype)}; only uint8 can be used"
        )
    label = _only(features, "label", tfds.features.ClassLabel) if config.labels else None
    names = ()
    if label is not None:
        # A label without a known number of classes is no use to a model.
        names = tuple(features[label].names or map(str, range(features[label].num_classes or 0)))
    label, shape = label if names else None, tuple(features[image].shape)
    return Features(image, label, shape, names, *_condition(builder, config, condition))


def _condition(builder, config, condition):
    """Finds the feature of conditions: its key, (D,) or (H, W, D), and names of the entries."""
    if condition is None:
        return None, (), ()
    features, key = dict(builder.info.features), config.condition_feature
    if key not in features:
        raise UserError(
            f"model.condition={condition} needs data.condition_feature, one of the features of "
            f"TFDS data set {builder.name!r}: {', '.join(features)}"
            + (f"; there is no {key!r}" if key else "")
        )
    feature, names = features[key], ()
    if isinstance(feature, tfds.features.FeaturesDict):
        names = tuple(feature)
        shape = (len(names),) if all(feature[name].shape == () for name in names) else None
        dtypes = [feature[name].np_dtype for name in names]
    else:
        shape, dtypes = feature.shape, [feature.np_dtype]
    is_right = shape and None not in shape and len(shape) == (1 if condition == "vector" else 3)
    if not is_right or not all(np.dtype(dtype).kind in "buif" for dtype in dtypes):
        raise UserError(
            f"the feature {key!r} of TFDS data set {builder.name!r} cannot be the condition: for "
            f"model.condition={condition} it must be numbers "
            f"{'[D]' if condition == 'vector' else '[H, W, D]'} of known size"
            f"{', or a dictionary of single numbers' if condition == 'vector' else ''}"
        )
    return key, tuple(shape), names


def _only(features, key, kind):
    found = [name for name, feature in features.items() if type(feature) is kind]
    if key in found:
        return key
    return found[0] if len(found) == 1 else None


def _counts(builder, name):
    """Returns the number of images of each of our splits that exists."""
    found = builder.info.splits
    if "train" not in found:
        raise UserError(
            f"TFDS data set {name!r} has no split 'train'; its splits: {', '.join(found) or 'none'}"
        )
    return {key: found[key].num_examples for key in ("train", "validation", "test") if key in found}


def _encoded(builder, split, features):
    """Returns the examples of a split in an order that never changes.

    They are (encoded image,), and beside it a label, or a condition.
    """
    examples = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders={features.image: tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(try_autocache=False),
    )

    def chosen(example):
        beside = [example[features.label]] if features.label else []
        if features.condition:
            found = example[features.condition]
            if features.condition_names:
                found = tf.stack([tf.cast(found[x], tf.float32) for x in features.condition_names])
            beside.append(tf.cast(found, tf.float32))
        return example[features.image], *beside

    return examples.map(chosen)


def _decoder(builder, features, shape, config):
    """Returns a function, for graphs: encoded example -> (image of `shape`, label or condition)."""
    feature = builder.info.features[features.image]
    cropped = any(config.margins())

    def prepare(image):
        prepared = preprocessing.prepare(image, config)
        if prepared.shape != shape:
            raise UserError(
                f"{config.source} has images of different shapes, {shape} and {prepared.shape}: "
                f"set data.image_size"
            )
        return prepared

    def decode(encoded, *beside):
        # TFDS itself has JPEG files decoded faster and less exactly than PIL, which reads the same
        # files where a user gives them.
        image = tf.cond(
            tf.strings.substr(encoded, 0, len(JPEG)) == JPEG,
            lambda: tf.io.decode_jpeg(
                encoded, feature.shape[-1] or 0, dct_method="INTEGER_ACCURATE"
            ),
            lambda: feature.decode_example(encoded),
        )
        if features.shape != shape or cropped:  # another one, or not known
            image = tf.cond(
                tf.reduce_all(tf.shape(image) == shape) & (not cropped),
                lambda: image,
                lambda: numpy_function(prepare, [image], tf.uint8),
            )
        if features.label:
            beside = [tf.cast(beside[0], tf.int32)]
        if features.condition:
            finite = tf.reduce_all(tf.math.is_finite(beside[0]))
            # `input_error` makes the sentence of it.
            sentence = (
                f"UserError: {features.condition!r} of {config.source} has values that are not "
                "finite"
            )
            with tf.control_dependencies([tf.debugging.Assert(finite, [sentence])]):
                beside = [tf.ensure_shape(tf.identity(beside[0]), features.condition_shape)]
        return tf.ensure_shape(image, shape), *beside

    return decode


def _shape(builder, features, config):
    """Returns the shape of the prepared images, if need be by a look at the first one."""
    stored = features.shape
    if None in preprocessing.prepared_shape(stored, config):
        feature = builder.info.features[features.image]
        (first, *_), *_ = _encoded(builder, "train", features).take(1)
        stored = tuple(feature.decode_example(first).shape)
    if None not in stored[:2]:
        found = preprocessing.cropped_size(*stored[:2], config)
        preprocessing.check_size(found, config.size, config.resize)
    return preprocessing.prepared_shape(stored, config)


def _read_all(builder, split, count, features, shape, decode):
    """Reads a split into arrays (images, labels or conditions or None)."""
    images = np.empty((count, *shape), np.uint8)
    beside = np.empty(count, np.int32) if features.label else None
    if features.condition:
        beside = np.empty((count, *features.condition_shape), np.float32)
    stream = StreamSplit(
        *(_encoded(builder, split, features), decode, count, shape),
        *(features.label, features.condition_shape),
    )
    start = 0
    try:
        for batch, *found in stream.eval_batches(1024).as_numpy_iterator():
            end = start + len(batch)
            images[start:end] = batch
            if found:
                beside[start:end] = found[0]
            start = end
    except tf.errors.OpError as error:
        problem = (
            sentence_in(error)
            or f"its images cannot be read as {shape}: set data.image_size if their sizes differ "
            f"({first_line(error)})"
        )
        raise UserError(f"TFDS data set {builder.name!r}, split {split}: {problem}") from error
    return images, beside


def _streams(builder, counts, features, shape, decode, config):
    """Opens the splits and decides what their values are; holds out the end of `train` if need be.

    TFDS shuffles a data set when it prepares it, so its end is a random choice.
    """
    if config.held_out_classes:
        raise UserError(
            f"data.held_out_classes={config.held_out_classes} needs the labels of all images of "
            f"{config.source}, which are too many to be loaded: raise data.memory_limit_mb"
        )
    parts = {split: split for split in counts}
    if "validation" not in counts and (held_out := splits.held_out_count(config, counts["train"])):
        left = counts["train"] - held_out
        parts |= {"train": f"train[:{left}]", "validation": f"train[{left}:]"}
        counts = counts | {"train": left, "validation": held_out}
    encoded = {split: _encoded(builder, part, features) for split, part in parts.items()}

    def pieces(examples):
        batches = examples.map(decode).batch(PROBED_IMAGES)
        return (images for images, *_ in batches.as_numpy_iterator())

    try:
        values = preprocessing.decide_values(config, {x: pieces(y) for x, y in encoded.items()})
    except tf.errors.OpError as error:
        raise input_error(error, f"the images of {config.source}") from error
    table = preprocessing.levels_table(config.levels)

    def decode_to_levels(*encoded):
        image, *beside = decode(*encoded)
        if values == preprocessing.BYTES:
            return tf.gather(table, tf.cast(image, tf.int32)), *beside
        highest = tf.cast(tf.reduce_max(image), tf.int32)
        # `input_error` makes the sentence of it.
        sentence = "UserError: " + preprocessing.too_high(config.source, "more", config.levels)
        with tf.control_dependencies([tf.debugging.Assert(highest < config.levels, [sentence])]):
            return tf.identity(image), *beside

    last = decode if config.levels == 256 else decode_to_levels
    beside = features.label, features.condition_shape
    return {
        split: StreamSplit(examples, last, counts[split], shape, *beside)
        for split, examples in encoded.items()
    }, values
