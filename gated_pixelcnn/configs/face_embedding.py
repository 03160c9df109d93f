"""An embedding of faces, by the triplet loss; the identities it is validated on are held out.

Give the images by --config.data.source: a folder with a sub-folder for each person, or an npz file.
"""

from gated_pixelcnn.configs import schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults("embedding")
    config.description = "Embedding of faces by the triplet loss (give data.source)"
    config.data.update(
        source="tfds:lfw",
        image_size=32,
        gray=True,
        levels=32,
        flips=True,
        held_out_classes=10,
    )
    config.model.update(
        code_size=32,
        encoder_features=32,
        images_per_class=4,
    )
    config.train.update(
        steps=1500,
        batch_size=40,
        learning_rate=1e-3,
        warmup_steps=50,
        schedule="cosine",
        final_fraction=0.02,
        eval_every=100,
        eval_batch_size=100,
        sample_every=0,
        samples=0,
    )
    return config
