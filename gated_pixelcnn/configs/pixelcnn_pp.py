"""PixelCNN++, sized for a CPU: the embedded 32×32 colour tiles."""

from gated_pixelcnn.configs import schema, tiles32


def get_config():
    """Returns the configuration."""
    config = schema.defaults("pixelcnn_pp")
    gated = tiles32.get_config()
    config.description = "PixelCNN++ of 32x32 colour tiles (embedded)"
    config.data.update(gated.data)
    config.model.update(
        features=24,
        blocks=2,
        dropout=0.0,
    )
    config.train.update(gated.train)
    return config
