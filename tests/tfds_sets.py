"""A small TFDS data set, for several test files."""

import numpy as np
import tensorflow_datasets as tfds

from gated_pixelcnn import data


def make_config(name, **options):
    return data.DataConfig(source=f"tfds:{name}", **options)


class TinyShapes(tfds.core.GeneratorBasedBuilder):
    """40 training and 6 test images of 6x8; the first value of each is its number."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(6, 8, 3)),
            "label": tfds.features.ClassLabel(names=["even", "odd"]),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(0, 40), "test": self._generate_examples(40, 46)}

    def _generate_examples(self, start, stop):
        for i in range(start, stop):
            image = np.random.default_rng(i).integers(0, 256, (6, 8, 3)).astype(np.uint8)
            image[0, 0, 0] = i
            yield i, {"image": image, "label": i % 2}
