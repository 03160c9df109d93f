"""AGAVE of the embedded Fashion-MNIST images, sized for a CPU."""

from gated_pixelcnn.configs import schema, vae


def get_config():
    """Returns the configuration."""
    config = schema.defaults("agave")
    of_vae = vae.get_config()
    config.description = "AGAVE of Fashion-MNIST (embedded, 4,000 images)"
    config.train.update(of_vae.train)
    config.model.update({key: of_vae.model[key] for key in ("features", "latents", "halvings")})
    config.model.update(
        blocks=2,
        free_bits=0.0,  # what z holds, it holds for the auxiliary images
        kl_weight=2.0,
        stream_features=16,
    )
    config.model.decoder.update(
        features=24,
        blocks=1,
        scales=2,
        dropout=0.0,
    )
    return config
