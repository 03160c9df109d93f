"""Portraits: faces conditioned on the embedding of a face (face_embedding), which stays as it is.

Give the run of the embedding by --config.train.encoder and its images by --config.data.source.
"""

from gated_pixelcnn.configs import face_embedding, schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults()
    config.description = "Portraits given a face's embedding (give data.source, train.encoder)"
    embedding = face_embedding.get_config()
    config.data.update(embedding.data)
    config.model.update(
        features=48,
        layers=8,
        kernel_size=5,
        condition="image",
        code_size=embedding.model.code_size,
        encoder_features=embedding.model.encoder_features,
        normalised_code=True,
        train_encoder=False,
        spatial_features=24,
    )
    config.train.update(
        steps=3000,
        batch_size=16,
        learning_rate=2e-3,
        warmup_steps=100,
        schedule="cosine",
        final_fraction=0.02,
        eval_every=250,
        eval_batch_size=50,
        save_every=250,
        sample_every=500,
        samples=10,
    )
    return config
