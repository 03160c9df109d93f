"""The baseline of autoencoder10: its encoder with a decoder trained for the squared error."""

from gated_pixelcnn.configs import autoencoder10, schema


def get_config():
    """Returns the configuration."""
    return baseline_of(autoencoder10.get_config())


def baseline_of(autoencoder):
    """The baseline of a PixelCNN autoencoder: the same data, encoder and budget of training."""
    config = schema.defaults("mse_autoencoder")
    sizes = {key: autoencoder.model[key] for key in ("code_size", "encoder_features")}
    config.description = (
        f"The encoder of autoencoder{sizes['code_size']}, its decoder trained for the squared error"
    )
    config.data.update(autoencoder.data)
    config.model.update(sizes)
    config.train.update(autoencoder.train)
    config.train.update(sample_every=0, samples=0)  # it draws none
    return config
