"""What loading gives: a train, a validation and a test split, and what they have in common."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from gated_pixelcnn.data import folders, preprocessing
from gated_pixelcnn.errors import UserError

if TYPE_CHECKING:
    from gated_pixelcnn.data.batches import IndexedSplit, Split
    from gated_pixelcnn.data.config import DataConfig

MAX_AUTOMATIC_VALIDATION = 10_000


@dataclasses.dataclass(frozen=True)
class DataInfo:
    """What a model must know of the images.

    Attributes:
      image_shape: (H, W, C).
      levels: Number of values a colour may take.
      num_classes: Number of labels; 0 if the images have none.
      class_names: The names of the classes, in the order of the labels.
    """

    image_shape: tuple[int, int, int]
    levels: int
    num_classes: int
    class_names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Data:
    """The images of a source.

    Attributes:
      name: The source, as in the configuration.
      info: Shape, levels and classes; each of its fields is an attribute here, too.
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
    info: DataInfo
    train: Split
    validation: Split | None
    test: Split | None
    fingerprint: str
    values: str = preprocessing.BYTES
    layout: str = ""
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    declared: bool = False
    named: bool = True
    empty_classes: tuple[int, ...] = ()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.info.image_shape

    @property
    def levels(self) -> int:
        """Number of values a colour may take."""
        return self.info.levels

    @property
    def num_classes(self) -> int:
        """Number of labels; 0 if the images have none."""
        return self.info.num_classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the labels."""
        return self.info.class_names

    def record(self) -> dict:
        """Returns what was decided of the images, for config.json."""
        return {
            "values": self.values,
            "layout": self.layout,
            "empty_classes": list(self.empty_classes),
            "num_images": {name: split.num_images for name, split in self._splits().items()},
        }

    def report(self) -> list[str]:
        """Returns what was found: splits, classes, values, what is left out; lines for people."""
        counts = ", ".join(f"{split.num_images} {name}" for name, split in self._splits().items())
        layout = f" ({self.layout})" if self.layout else ""
        stored = "bytes" if self.values == preprocessing.BYTES else "levels already"
        size = "x".join(map(str, self.image_shape))
        lines = [
            f"{self.name}{layout}: {counts} images, {size}, values are {stored}, "
            f"{self.levels} levels"
        ]
        if self.num_classes:
            labels = getattr(self.train, "labels", None)
            names = list(self.class_names)
            if labels is not None:
                counts = np.bincount(labels, minlength=len(names))
                names = [f"{name} {count}" for name, count in zip(names, counts, strict=True)]
            more = f", and {len(names) - 20} more" if len(names) > 20 else ""
            lines.append(f"{len(names)} classes of training: {', '.join(names[:20])}{more}")
        if self.left_out:
            lines.append(f"left out: {folders.shown(self.left_out)}")
        return lines

    def _splits(self):
        """The splits by name; what stands for two of them once."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        if self.validation is self.test:
            name = "validation and test"
            splits = {"train": self.train, name: self.test}
        return {name: split for name, split in splits.items() if split is not None}


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


def make_data(
    config: DataConfig,
    splits: dict[str, Split],
    class_names: tuple[str, ...],
    fingerprint: str,
    **facts,
) -> Data:
    """Completes a source's splits by the rules for those that are missing.

    Args:
      config: The configuration.
      splits: "train" and, if there are any, "validation" and "test".
      class_names: The names of the classes; empty if there are no labels.
      fingerprint: That of the source.
      **facts: `values`, `layout`, `left_out`, `declared` and `named` of the Data.
    """
    validation = splits.get("validation") or splits.get("test")
    test = splits.get("test") or validation
    train = splits["train"]
    info = DataInfo(train.image_shape, config.levels, len(class_names), tuple(class_names))
    return Data(
        config.source,
        info,
        train,
        validation,
        test,
        fingerprint,
        empty_classes=_empty_classes(train, info),
        **facts,
    )


def _empty_classes(train, info):
    labels = getattr(train, "labels", None)
    if labels is None or not info.num_classes:
        return ()
    return tuple(np.flatnonzero(np.bincount(labels, minlength=info.num_classes) == 0).tolist())


def hold_out(config: DataConfig, splits: dict[str, IndexedSplit]) -> dict[str, IndexedSplit]:
    """Takes the validation images from the training images, if the source has none of its own.

    The choice is a function of `validation_seed` and the number of images only; the order of
    the images is kept.
    """
    train = splits["train"]
    if config.held_out_classes:
        return _hold_out_classes(config, train)
    if "validation" in splits:
        return splits
    count = held_out_count(config, train.num_images)
    if count == 0:
        return splits
    order = np.random.default_rng(config.validation_seed).permutation(train.num_images)
    return splits | {
        "train": train.subset(np.sort(order[count:])),
        "validation": train.subset(np.sort(order[:count])),
    }


def _hold_out_classes(config: DataConfig, train: IndexedSplit) -> dict[str, IndexedSplit]:
    classes = np.unique(train.labels) if train.has_labels else []
    if len(classes) <= config.held_out_classes:
        raise UserError(
            f"data.held_out_classes={config.held_out_classes} leaves nothing to train on: the "
            f"training images of {config.source} have {len(classes)} classes"
        )
    middle = classes[-((config.held_out_classes + 1) // 2)]  # the best weights are chosen by others
    seen = train.labels < classes[-config.held_out_classes]
    parts = {
        "train": seen,
        "validation": ~seen & (train.labels < middle),
        "test": train.labels >= middle,
    }
    return {name: train.subset(np.flatnonzero(part)) for name, part in parts.items()}


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
      arrays: Of each split the images, uint8 [N, H, W, C], and the labels, int [N], or None. The
        images are overwritten by their levels.
      class_names: The names of the classes; empty if there are no labels.
      fingerprint: That of the source.
      **facts: `layout`, `left_out`, `declared` and `named` of the Data.

    Raises:
      UserError: If the images do not suit the number of levels.
    """
    from gated_pixelcnn.data.batches import ArraySplit

    pieces = {split: _pieces(images) for split, (images, _) in arrays.items()}
    values = preprocessing.decide_values(config, pieces)
    splits = {}
    for name, (images, labels) in arrays.items():
        preprocessing.to_levels(images, config.levels, values, config.source, in_place=True)
        splits[name] = ArraySplit(images, labels if config.labels else None)
    names = class_names if config.labels else ()
    return make_data(config, hold_out(config, splits), names, fingerprint, values=values, **facts)


def _pieces(images):
    return (images[start : start + 256] for start in range(0, len(images), 256))
