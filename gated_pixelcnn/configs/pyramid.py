"""Pyramid PixelCNN, sized for a CPU: embedded colour tiles at 8×8, 16×16 and then 32×32."""

from gated_pixelcnn.configs import schema, tiles32


def of_halvings(halvings, features, embedding_blocks, dropout):
    """The defaults of a pyramid: images halved so many times, light networks as in the paper.

    Args:
      halvings: number of stages but the first.
      features: of all networks.
      embedding_blocks: blocks of an embedding at each scale on the way down.
      dropout: of the autoregressive networks.
    """
    wholes = [".".join(["prior"] * i) for i in range(halvings)]  # "" is the model itself
    families = {}
    for whole in filter(None, wholes):
        families[whole] = "auxiliary"
    paths = [f"{whole}.conditional".lstrip(".") for whole in wholes]
    paths.append(".".join(["prior"] * halvings))  # the smallest image
    config = schema.defaults("auxiliary", families | dict.fromkeys(paths, "pixelcnn_pp"))
    model = config.model
    for _ in wholes:
        model.update(
            embedding="resnet", embedding_features=features, embedding_blocks=embedding_blocks
        )
        model.conditional.update(features=features, blocks=3, scales=1, dropout=dropout)
        model = model.prior
    model.update(features=features, blocks=3, scales=1, dropout=dropout)
    return config


def get_config():
    """Returns the configuration."""
    config = of_halvings(2, features=24, embedding_blocks=2, dropout=0.0)
    single = tiles32.get_config()
    config.description = "Pyramid PixelCNN: tiles (embedded) at 8x8, 16x16 and then 32x32"
    config.data.update(single.data)
    config.train.update(single.train)
    return config
