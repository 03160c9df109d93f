"""The control of AGAVE: without the auxiliary images, which shows that z is left unused."""

from gated_pixelcnn.configs import agave


def get_config():
    """Returns the configuration."""
    config = agave.get_config()
    config.description = "AGAVE without its auxiliary images: start it from a run of agave"
    config.model.auxiliary_weight = 0.0
    config.model.kl_weight = 1.0
    return config
