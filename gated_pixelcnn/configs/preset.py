"""Presets: configurations that differ from the defaults, or from another preset."""

import dataclasses

from ml_collections import ConfigDict

from gated_pixelcnn.configs.schema import DEFAULT_FAMILY, complete


@dataclasses.dataclass(frozen=True)
class Preset:
    """A configuration that has a name: that of a variable in the file of its data set.

    Attributes:
      description: What it is.
      image_shape: (H, W, C) of its images.
      parameters: Number of parameters of its model. Lists of the presets show both, and would take
        long to build the models; a test builds them. They are not part of the configuration, so
        that no override can make them wrong.
      expected: The bits/dim that it reaches, and who says so.
      data: What differs from the defaults in the section `data`.
      model: In the section `model`: the family, unless it is a Gated PixelCNN, and its arguments;
        a dict for each submodel.
      train: In the section `train`.
    """

    description: str
    _: dataclasses.KW_ONLY
    image_shape: tuple[int, int, int]
    parameters: int
    expected: str = ""
    data: dict = dataclasses.field(default_factory=dict)
    model: dict = dataclasses.field(default_factory=dict)
    train: dict = dataclasses.field(default_factory=dict)

    def variant(self, description, *, parameters, expected="", model=None, **changes) -> "Preset":
        """Returns a preset that is like this one but for what is given.

        Args:
          description: See the class.
          parameters: See the class.
          expected: See the class; another model reaches other bits/dim.
          model: Values that are changed; those of another family replace the whole section.
          **changes: `data` and `train`: values that are changed; `image_shape`.
        """
        model = model or {}
        another = model.get("family", self._family) != self._family
        for section in changes.keys() & {"data", "train"}:
            changes[section] = getattr(self, section) | changes[section]
        return dataclasses.replace(
            self,
            description=description,
            parameters=parameters,
            expected=expected,
            model=model if another else self.model | model,
            **changes,
        )

    @property
    def _family(self):
        return self.model.get("family", DEFAULT_FAMILY)

    def config(self) -> ConfigDict:
        """Returns the whole configuration."""
        keys = ("description", "expected", "data", "model", "train")
        return complete({key: getattr(self, key) for key in keys})


def pyramid_model(halvings, features, embedding_blocks, dropout):
    """Returns the section `model` of a pyramid with light networks, as in the paper.

    Args:
      halvings: How often images are halved: the number of stages but the first.
      features: Of all networks.
      embedding_blocks: Blocks of an embedding at each scale on the way down.
      dropout: Of the autoregressive networks.
    """
    network = dict(family="pixelcnn_pp", features=features, blocks=3, scales=1, dropout=dropout)
    model = network  # of the smallest image
    for _ in range(halvings):
        model = dict(
            family="auxiliary",
            embedding="resnet",
            embedding_features=features,
            embedding_blocks=embedding_blocks,
            prior=model,
            conditional=network,
        )
    return model
