"""A split of image files that are too big to be held in memory."""

import numpy as np

from gated_pixelcnn.data.image_reading import READ_ERRORS, read_prepared, why_unreadable
from gated_pixelcnn.data.split import IndexedSplit
from gated_pixelcnn.data.values import to_levels
from gated_pixelcnn.errors import UserError


class FileSplit(IndexedSplit):
    """Images of files, decoded batch by batch."""

    def __init__(self, paths, frames, labels, image_shape, config, values):
        """Opens the split.

        Args:
          paths: The file of each image.
          frames: Its number in the file.
          labels: int32 [N], or None.
          image_shape: Shape (H, W, C) that the images are brought to.
          config: The DataConfig.
          values: Whether they hold levels or bytes, see data/values.py.
        """
        self._paths = np.array([str(path) for path in paths])
        self._frames = np.asarray(frames)
        self.labels = labels
        self._config = config
        self._values = values
        self.num_images = len(paths)
        self.image_shape = image_shape
        self.has_labels = labels is not None

    def subset(self, indices):
        """Returns the split of the images of these numbers, in this order."""
        labels = None if self.labels is None else self.labels[indices]
        how = self.image_shape, self._config, self._values
        return FileSplit(self._paths[indices], self._frames[indices], labels, *how)

    def _read(self, indices):
        images = np.empty((len(indices), *self.image_shape), np.uint8)
        for place, number in zip(images, indices, strict=True):
            path, frame = self._paths[number], int(self._frames[number])
            image = read_one(path, frame, self.image_shape, self._config)
            place[...] = to_levels(image, self._config.levels, self._values, path)
        return images


def read_one(path, frame, shape, config):
    """The same as `read_prepared`, but all that may be wrong with a file is a UserError."""
    try:
        return read_prepared(path, frame, shape, config)
    except READ_ERRORS as error:
        why = " ".join(why_unreadable(path, error).splitlines())
    # Inside of a graph: `input_error` makes the sentence of what TensorFlow makes of it.
    raise UserError(f"image file {path} cannot be used ({why}); remove or replace it")
