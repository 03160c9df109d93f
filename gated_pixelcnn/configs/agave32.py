"""AGAVE of 32×32 colour tiles, sized for a CPU."""

from gated_pixelcnn.configs import agave, tiles32


def get_config():
    """Returns the configuration."""
    config = agave.get_config()
    config.description = "AGAVE of 32x32 colour tiles (embedded)"
    config.data.update(tiles32.get_config().data)
    config.model.latents = 16
    config.model.decoder.update(blocks=2, scales=2)
    config.train.update(steps=20_000, sample_every=2000)
    return config
