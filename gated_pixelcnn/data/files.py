"""A split of image files that are too big to be held in memory."""

import numpy as np

from gated_pixelcnn.data import images as image_ops
from gated_pixelcnn.data.image_file import READ_ERRORS, read_image, why_unreadable
from gated_pixelcnn.data.split import IndexedSplit
from gated_pixelcnn.errors import UserError


class FileSplit(IndexedSplit):
    """Image files, decoded batch by batch; the values are taken to be bytes 0..255."""

    def __init__(self, paths, labels, image_shape, config):
        """Opens the split.

        Args:
          paths: The files.
          labels: int32 [N], or None.
          image_shape: Shape (H, W, C) that the images are brought to.
          config: The DataConfig.
        """
        self._paths = np.array([str(path) for path in paths])
        self.labels = labels
        self._config = config
        self.num_images = len(paths)
        self.image_shape = image_shape
        self.has_labels = labels is not None

    def subset(self, indices):
        """Returns the split of the images of these numbers, in this order."""
        labels = None if self.labels is None else self.labels[indices]
        return FileSplit(self._paths[indices], labels, self.image_shape, self._config)

    def _read(self, indices):
        images = np.empty((len(indices), *self.image_shape), np.uint8)
        for i, path in enumerate(self._paths[indices]):
            images[i] = self._read_one(path)
        return image_ops.to_levels(images, self._config.levels, 255, "", in_place=True)

    def _read_one(self, path):
        try:
            return read_image(path, self.image_shape, self._config)
        except READ_ERRORS as error:
            why = " ".join(why_unreadable(path, error).splitlines())
        # Inside of a graph: `input_error` makes the sentence of what TensorFlow makes of it.
        raise UserError(f"image file {path} cannot be read ({why}); remove or replace it")
