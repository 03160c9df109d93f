"""Pyramid PixelCNN, sized for a CPU: embedded colour tiles at 8×8, 16×16 and then 32×32."""

from gated_pixelcnn.configs import base, tiles32

LIGHT = {"blocks": 3, "scales": 1, "dropout": 0.0}  # autoregressive networks as in the paper


def get_config():
    """Returns the configuration."""
    families = {
        "prior": "auxiliary",
        "conditional": "pixelcnn_pp",
        "prior.prior": "pixelcnn_pp",
        "prior.conditional": "pixelcnn_pp",
    }
    config = base.get_config("auxiliary", families)
    single = tiles32.get_config()
    config.description = "Pyramid PixelCNN: tiles (embedded) at 8x8, 16x16 and then 32x32"
    config.data.update(single.data)
    config.train.update(single.train)
    embedding = {"embedding": "resnet", "embedding_features": 24, "embedding_blocks": 2}
    config.model.update(embedding)
    config.model.conditional.update(LIGHT, features=24)
    config.model.prior.update(embedding)
    config.model.prior.prior.update(LIGHT, features=24)
    config.model.prior.conditional.update(LIGHT, features=24)
    return config
