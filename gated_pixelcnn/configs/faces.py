"""Faces.

Those with identities are in a folder or file of the user's, or TFDS' `lfw`.
"""

from gated_pixelcnn.configs import cifar10
from gated_pixelcnn.configs.preset import Preset, pyramid_model

# The identities it is validated on are held out. Give the images by --config.data.source: a folder
# with a sub-folder for each person, or an npz file.
face_embedding = Preset(
    "Embedding of faces by the triplet loss (give data.source)",
    image_shape=(32, 32, 1),
    parameters=463_408,
    data=dict(
        source="tfds:lfw",
        image_size=32,
        grayscale=True,
        levels=32,
        flips=True,
        held_out_classes=10,
    ),
    model=dict(family="embedding", code_size=32, encoder_features=32, images_per_class=4),
    train=dict(
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
    ),
)
# Conditioned on the embedding of a face, which stays as it is. Give the run of the embedding by
# --config.train.encoder and its images by --config.data.source.
portraits = Preset(
    "Portraits given a face's embedding (give data.source, train.encoder)",
    image_shape=(32, 32, 1),
    parameters=1_236_168,
    data=face_embedding.data,
    model=dict(
        features=48,
        layers=8,
        kernel_size=5,
        condition="image",
        code_size=face_embedding.model["code_size"],
        encoder_features=face_embedding.model["encoder_features"],
        normalised_code=True,
        train_encoder=False,
        spatial_features=24,
    ),
    train=dict(
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
    ),
)

# With the paper's crop. Training, validation and test images are those of TFDS, the published
# split; the paper's is not known to us. Its five stages were trained apart, here together: see
# `model.train_only`.
pyramid_celeba = Preset(
    "CelebA, Pyramid PixelCNN at the paper's sizes: 8x8, 16x16, … 128x128",
    expected="1.52 (paper, the last stage)",
    image_shape=(128, 128, 3),
    parameters=46_219_400,
    data=dict(
        source="tfds:celeb_a",
        crop="50,40,25,25",  # of 218×178
        labels=False,
    ),
    model=pyramid_model(halvings=4, features=100, embedding_blocks=3, dropout=0.5),
    train=cifar10.pyramid_cifar10.train | dict(steps=610_388),  # 60 epochs of 162,770 images
)
