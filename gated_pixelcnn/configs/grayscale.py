"""Grayscale PixelCNN, sized for a CPU: embedded 32×32 tiles in 16 grays, then in colour."""

from gated_pixelcnn.configs import schema, tiles32


def get_config():
    """Returns the configuration."""
    config = schema.defaults("auxiliary", {"prior": "pixelcnn_pp", "conditional": "pixelcnn_pp"})
    single = tiles32.get_config()
    config.description = "Grayscale PixelCNN: 32x32 tiles (embedded) in gray, then in colour"
    config.data.update(single.data)
    config.train.update(single.train)
    config.model.update(
        transform="gray",
        embedding="resnet",
        embedding_features=24,
        embedding_blocks=2,
        embedding_scales=2,
    )
    config.model.prior.update(
        likelihood="categorical",
        features=24,
        blocks=2,
        dropout=0.0,
    )
    config.model.conditional.update(
        features=24,
        blocks=2,
        scales=2,
        dropout=0.0,
    )
    return config
