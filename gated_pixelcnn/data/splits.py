"""The train, the validation and the test split of a source, and what they have in common."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from gated_pixelcnn.data import preprocessing
from gated_pixelcnn.data.folders import shown
from gated_pixelcnn.errors import UserError

if TYPE_CHECKING:
    from gated_pixelcnn.data.batches import Split
    from gated_pixelcnn.data.config import DataConfig

MAX_AUTOMATIC_VALIDATION = 10_000


@dataclasses.dataclass(frozen=True)
class DataInfo:
    """Facts of the images that a model must know.

    Attributes:
      image_shape: (H, W, C).
      levels: Number of values a colour may take.
      num_classes: Number of labels; 0 if the images have none.
      class_names: The names of the classes, in the order of the labels.
      condition_size: Number of entries of the vectors or maps; 0 if the images have none.
      condition_names: The names of these entries, () if they are not known.
    """

    image_shape: tuple[int, int, int]
    levels: int
    num_classes: int
    class_names: tuple[str, ...]
    condition_size: int = dataclasses.field(default=0, kw_only=True)
    condition_names: tuple[str, ...] = dataclasses.field(default=(), kw_only=True)

    def condition(self, kind: str | None) -> tuple[int, tuple[str, ...]]:
        """Returns the size of a kind of condition that images have beside them, and its names."""
        if kind == "label":
            return self.num_classes, self.class_names
        return self.condition_size, self.condition_names


@dataclasses.dataclass(frozen=True)
class Data(DataInfo):
    """The images of a source.

    Attributes:
      name: The source, as in the configuration.
      train: The images to train on.
      validation: The images to validate on while training: the source's own, or images held out
        from the training images, or (nothing held out) the test images. None if there are none.
      test: The images to evaluate on in the end: the source's own, or the validation images if it
        has none. None if there are neither.
      fingerprint: Of each split of the source the number of images and a checksum (for TFDS: name
        and version of the set). It is another one if images came, went, changed or moved, as far
        as a look at a part of them tells, and the same on every machine; see data/fingerprint.py.
      values: Whether the images were stored as "levels" or "bytes", see data/preprocessing.py.
      layout: Of a folder, what its sub-folders are, see data/folders.py; else empty.
      left_out: What in the source is not among the images, and why: path or array → reason.
      declared: Whether the source says itself whether its values are levels.
      named: Whether the classes have names; else those in `class_names` are their numbers.
      empty_classes: The labels that no training image has; those of the configured
        `held_out_classes` are among them. Where the labels of streamed images are not known,
        nothing.
    """

    name: str
    train: Split
    validation: Split | None
    test: Split | None
    fingerprint: str
    values: str
    layout: str = ""
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    declared: bool = False
    named: bool = True
    empty_classes: tuple[int, ...] = ()

    @property
    def info(self) -> DataInfo:
        """The facts of the images that a model must know, alone."""
        fields = dataclasses.fields(DataInfo)
        return DataInfo(**{field.name: getattr(self, field.name) for field in fields})

    def record(self) -> dict:
        """Returns the decisions about the images, for config.json."""
        return {
            "values": self.values,
            "layout": self.layout,
            "empty_classes": list(self.empty_classes),
            "num_images": {name: split.num_images for name, split in self._splits().items()},
        }

    def report(self) -> list[str]:
        """Returns lines for people: splits, classes, values, files that are left out."""
        counts = ", ".join(f"{split.num_images} {name}" for name, split in self._splits().items())
        layout = f" ({self.layout})" if self.layout else ""
        stored = "bytes" if self.values == preprocessing.BYTES else "levels already"
        size = "x".join(map(str, self.image_shape))
        lines = [
            f"{self.name}{layout}: {counts} images, {size}, values are {stored}, "
            f"{self.levels} levels"
        ]
        if names := list(self.class_names):
            if self.train.labels is not None:
                counts = np.bincount(self.train.labels, minlength=len(names))
                names = [f"{name} {count}" for name, count in zip(names, counts, strict=True)]
            more = f", and {len(names) - 20} more" if len(names) > 20 else ""
            lines.append(f"{len(names)} classes of training: {', '.join(names[:20])}{more}")
        if self.condition_size:
            names = ", ".join(self.condition_names[:20]) or "without names"
            more = f", and {len(self.condition_names) - 20} more" * (len(self.condition_names) > 20)
            lines.append(f"condition of {self.condition_size} entries: {names}{more}")
        if self.left_out:
            lines.append(f"left out: {shown(self.left_out)}")
        return lines

    def _splits(self):
        """The splits by name; what stands for two of them once."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        if self.validation is self.test:
            splits = {"train": self.train, "validation and test": self.test}
        return {name: split for name, split in splits.items() if split is not None}


def make_info(
    config: DataConfig, shape: tuple, class_names: tuple[str, ...], **conditions
) -> DataInfo:
    """Returns the facts of images that are prepared, or of their patches, if those are wanted.

    Args:
      config: The configuration.
      shape: (H, W, C) of the prepared images.
      class_names: The names of the classes; empty if there are no labels.
      **conditions: `condition_size` and `condition_names` of the DataInfo.

    Raises:
      UserError: If patches are larger than the images.
    """
    height, width, channels = shape
    if min(height, width) < config.patch:
        raise UserError(
            f"data.patch={config.patch} is larger than the images of {config.source}, "
            f"{height}x{width} (height x width)"
        )
    if config.patch:
        height = width = config.patch
    shape = height, width, channels
    return DataInfo(shape, config.levels, len(class_names), tuple(class_names), **conditions)


def make_data(
    config: DataConfig,
    splits: dict[str, Split],
    class_names: tuple[str, ...],
    fingerprint: str,
    values: str,
    condition_names: tuple[str, ...] = (),
    **facts,
) -> Data:
    """Holds images out where they are wanted and not there, and cuts patches.

    Args:
      config: The configuration.
      splits: "train" and, if there are any, "validation" and "test".
      class_names: The names of the classes; empty if there are no labels.
      fingerprint: That of the source.
      values: Whether the images were stored as levels or bytes.
      condition_names: The names of the entries of the conditions, if there are any.
      **facts: `layout`, `left_out`, `declared` and `named` of the Data.
    """
    splits = _hold_out(config, splits)
    shape, size = splits["train"].image_shape, splits["train"].condition_shape
    if len(size) == 3 and size[:2] != shape[:2]:
        raise UserError(
            f"the maps of {config.source} are {size[0]}x{size[1]}, but its images, as they are "
            f"prepared, {shape[0]}x{shape[1]} (height x width): they must be of one size"
        )
    conditions = {"condition_size": size[-1] if size else 0, "condition_names": condition_names}
    info = make_info(config, shape, class_names, **conditions)
    if config.patch:
        splits = {name: split.of_patches(config.patch) for name, split in splits.items()}
    labels = splits["train"].labels
    empty = () if labels is None else np.setdiff1d(range(info.num_classes), labels).tolist()
    validation = splits.get("validation") or splits.get("test")
    return Data(
        **vars(info),
        name=config.source,
        train=splits["train"],
        validation=validation,
        test=splits.get("test") or validation,
        fingerprint=fingerprint,
        values=values,
        empty_classes=tuple(empty),
        **facts,
    )


def from_arrays(
    config: DataConfig,
    arrays: dict[str, tuple[np.ndarray, np.ndarray | None]],
    class_names: tuple[str, ...],
    fingerprint: str,
    **facts,
) -> Data:
    """Makes data of images in memory, without a second copy of them.

    Args:
      config: The configuration; the images are of its size and colours already.
      arrays: Of each split the images [N, H, W, C], and the labels, int [N], or conditions,
        float32 [N, ...], or None. The images are overwritten by their levels.
      class_names: The names of the classes; empty if there are no labels.
      fingerprint: That of the source.
      **facts: See `make_data`.

    Raises:
      UserError: If the images do not suit the number of levels.
    """
    from gated_pixelcnn.data.batches import ArraySplit

    pieces = {split: _pieces(images) for split, (images, _) in arrays.items()}
    values = preprocessing.decide_values(config, pieces)
    splits = {}
    for name, (images, labels) in arrays.items():
        preprocessing.to_levels(images, config.levels, values, config.source, in_place=True)
        splits[name] = ArraySplit(images, labels)
    return make_data(config, splits, class_names, fingerprint, values, **facts)


def _pieces(images):
    return (images[start : start + 256] for start in range(0, len(images), 256))


def held_out_count(config: DataConfig, num_train: int) -> int:
    """Returns how many of the training images are held out for validation.

    Args:
      config: The configuration, with `validation` -1 for a tenth.
      num_train: Number of training images of the source.

    Raises:
      UserError: If no image would be left to train on.
    """
    if config.validation == -1:
        return min(num_train // 10, MAX_AUTOMATIC_VALIDATION)
    if config.validation >= num_train:
        raise UserError(
            f"data.validation={config.validation} leaves nothing to train on: {config.source} has "
            f"{num_train} training images; choose fewer"
        )
    return config.validation


def _hold_out(config, splits):
    """Takes the validation images from the training images, if the source has none of its own.

    The choice is a function of `validation_seed` and the number of images only; the order of
    the images is kept.
    """
    train = splits["train"]
    if config.held_out_classes:
        return _hold_out_classes(config, train)
    if "validation" in splits or not (count := held_out_count(config, train.num_images)):
        return splits
    order = np.random.default_rng(config.validation_seed).permutation(train.num_images)
    return splits | {
        "train": train.subset(np.sort(order[count:])),
        "validation": train.subset(np.sort(order[:count])),
    }


def _hold_out_classes(config, train):
    labels = train.labels
    classes = [] if labels is None else np.unique(labels)
    if len(classes) <= config.held_out_classes:
        raise UserError(
            f"data.held_out_classes={config.held_out_classes} leaves nothing to train on: the "
            f"training images of {config.source} have {len(classes)} classes"
        )
    middle = classes[-((config.held_out_classes + 1) // 2)]  # the best weights are chosen by others
    seen = labels < classes[-config.held_out_classes]
    parts = {
        "train": seen,
        "validation": ~seen & (labels < middle),
        "test": labels >= middle,
    }
    return {name: train.subset(np.flatnonzero(part)) for name, part in parts.items()}
