"""Embedded images: Fashion-MNIST, colour tiles and digits.

They come with the package, and the sizes of the models are for a CPU.
"""

from gated_pixelcnn.configs.preset import Preset, pyramid_model

# 4,000 images of Fashion-MNIST, 16 levels, conditioned on the class: minutes on a CPU.
demo = Preset(
    "Fashion-MNIST (embedded, 4,000 images), by class, in minutes",
    image_shape=(28, 28, 1),
    parameters=148_768,
    data=dict(levels=16),
    model=dict(
        features=32,
        layers=6,
        kernel_size=3,
        condition="label",
        spatial_features=16,  # m(h): where a class has its shapes, which few layers cannot see
    ),
    train=dict(
        steps=2000,
        minutes=5.0,
        batch_size=16,
        learning_rate=0.003,
        warmup_steps=100,
        schedule="cosine",
        final_fraction=0.02,
        eval_every=500,
        eval_batch_size=100,
        save_every=500,
        sample_every=500,
        samples=40,
    ),
)

# "Pixel Recurrent Neural Networks", on the same images. Gates allow a higher learning rate.
pixelcnn = demo.variant(
    "PixelCNN (2016a) of Fashion-MNIST (embedded), in minutes",
    parameters=102_688,
    model=dict(family="pixelcnn", features=36, layers=8, head_features=72),
    train=dict(learning_rate=1e-3),
)
row_lstm = pixelcnn.variant(
    "Row LSTM (2016a) of Fashion-MNIST (embedded), in minutes",
    parameters=74_224,
    model=dict(family="row_lstm", features=24, layers=4, head_features=48),
)
diagonal_bilstm = pixelcnn.variant(
    "Diagonal BiLSTM (2016a) of Fashion-MNIST (embedded), in minutes",
    parameters=64_096,
    model=dict(family="diagonal_bilstm", features=24, layers=3, head_features=48),
)
multiscale28_pixelrnn = pixelcnn.variant(
    "Multi-scale PixelRNN (2016a): Fashion-MNIST at 14x14, then 28x28",
    parameters=139_424,
    model=dict(
        family="auxiliary",
        embedding_features=12,
        prior=diagonal_bilstm.model,
        conditional=diagonal_bilstm.model,
    ),
)
multiscale28 = demo.variant(
    "Multi-scale: Fashion-MNIST (embedded) at 14x14, then 28x28, by class",
    parameters=291_904,
    model=dict(
        family="auxiliary",
        condition="label",
        embedding_features=16,
        prior=dict(features=32, layers=6, kernel_size=3, spatial_features=16),
        conditional=dict(features=32, layers=6, kernel_size=3),
    ),
)

autoencoder10 = demo.variant(
    "Autoencoder of Fashion-MNIST (embedded): an image from 10 numbers",
    parameters=517_882,
    model=dict(condition="image", code_size=10, encoder_features=32),
    train=dict(samples=10),
)
autoencoder100 = autoencoder10.variant(
    "Autoencoder of Fashion-MNIST (embedded): an image from 100 numbers",
    parameters=549_652,
    model=dict(code_size=100),
)
# Their baselines: the same images, encoder and budget of training. They draw no samples.
mse_autoencoder10 = autoencoder10.variant(
    "The encoder of autoencoder10, its decoder trained for the squared error",
    parameters=577_755,
    model=dict(family="mse_autoencoder", code_size=10, encoder_features=32),
    train=dict(sample_every=0, samples=0),
)
mse_autoencoder100 = mse_autoencoder10.variant(
    "The encoder of autoencoder100, its decoder trained for the squared error",
    parameters=678_645,
    model=dict(code_size=100),
)

vae = Preset(
    "Variational autoencoder of Fashion-MNIST (embedded, 4,000 images)",
    image_shape=(28, 28, 1),
    parameters=195_843,
    model=dict(family="vae", features=32, blocks=2, latents=8, halvings=2),
    train=dict(
        steps=4000,
        batch_size=16,
        optimizer="adamax",
        learning_rate=0.002,
        eval_every=500,
        eval_batch_size=100,
        save_every=500,
        sample_every=1000,
    ),
)
agave = vae.variant(
    "AGAVE of Fashion-MNIST (embedded, 4,000 images)",
    parameters=480_751,
    model=vae.model
    | dict(
        family="agave",
        free_bits=0.0,  # what z holds, it holds for the auxiliary images
        kl_weight=2.0,
        stream_features=16,
        decoder=dict(features=24, blocks=1, scales=2, dropout=0.0),
    ),
)
# The control, which shows that z is left unused.
agave_no_auxiliary = agave.variant(
    "AGAVE without its auxiliary images: start it from a run of agave",
    parameters=480_751,
    model=dict(auxiliary_weight=0.0, kl_weight=1.0),
)

# Averages of weights would lag behind the codebook, which has its own.
vqvae = Preset(
    "VQ-VAE of Fashion-MNIST (embedded, 4,000 images): 7x7 codes of 512",
    image_shape=(28, 28, 1),
    parameters=293_570,
    model=dict(family="vq_vae", features=64),
    train=dict(
        steps=10_000,
        learning_rate=0.002,
        warmup_steps=100,
        schedule="cosine",
        final_fraction=0.02,
        ema_decay=0.0,
        eval_every=1000,
        eval_batch_size=100,
        save_every=1000,
        sample_every=2000,
    ),
)

# Its codes as images of their own, by class: train.tokenizer is the run of `vqvae`.
vq_prior = Preset(
    "Prior of the codes of a VQ-VAE of Fashion-MNIST (embedded), by class",
    image_shape=(28, 28, 1),
    parameters=1_106_498,
    model=dict(
        family="vq_prior",
        tokenizer=vqvae.model,
        prior=dict(
            family="gated_pixelcnn",
            features=64,
            layers=8,
            kernel_size=3,
            first_kernel_size=3,
            embedding_size=64,
            dropout=0.1,
        ),
        condition="label",
    ),
    train=dict(
        steps=4000,
        batch_size=64,
        learning_rate=0.002,
        warmup_steps=100,
        schedule="cosine",
        final_fraction=0.02,
        eval_every=500,
        eval_batch_size=100,
        save_every=500,
        sample_every=1000,
        samples=40,
    ),
)

# Two maps of codes, a small one above a large one, and a prior of each.
vqvae2 = vqvae.variant(
    "VQ-VAE-2 of Fashion-MNIST (embedded): 7x7 codes of 512 above 14x14",
    parameters=623_426,
    model=dict(halvings=1, maps=2),
)
vq_prior2 = vq_prior.variant(
    "Prior of both maps of codes of a VQ-VAE-2 of Fashion-MNIST (embedded), by class",
    parameters=2_630_722,
    model=dict(
        tokenizer=vqvae2.model,
        prior=dict(
            family="code_hierarchy",
            prior=vq_prior.model["prior"],
            conditional=vq_prior.model["prior"],
            embedding_features=64,
        ),
    ),
)

# 32×32 colour tiles of pictures.
tiles32 = Preset(
    "32x32 colour tiles (embedded)",
    image_shape=(32, 32, 3),
    parameters=384_724,
    data=dict(source="embedded:tiles32", flips=True),
    model=dict(features=48, layers=8, kernel_size=3, likelihood="mixture"),
    train=dict(
        steps=20_000,
        batch_size=16,
        warmup_steps=200,
        schedule="cosine",
        final_fraction=0.02,
        eval_every=500,
        save_every=500,
        sample_every=2000,
    ),
)
pixelcnn_pp = tiles32.variant(
    "PixelCNN++ of 32x32 colour tiles (embedded)",
    parameters=550_712,
    model=dict(family="pixelcnn_pp", features=24, blocks=2, dropout=0.0),
)
# 16 grays, then the colours.
grayscale = tiles32.variant(
    "Grayscale PixelCNN: 32x32 tiles (embedded) in gray, then in colour",
    parameters=1_219_816,
    model=dict(
        family="auxiliary",
        transform="grayscale",
        embedding="resnet",
        embedding_features=24,
        embedding_blocks=2,
        embedding_scales=2,
        prior=pixelcnn_pp.model | dict(likelihood="categorical"),
        conditional=pixelcnn_pp.model | dict(scales=2),
    ),
)
pyramid = tiles32.variant(
    "Pyramid PixelCNN: tiles (embedded) at 8x8, 16x16 and then 32x32",
    parameters=1_084_728,
    model=pyramid_model(halvings=2, features=24, embedding_blocks=2, dropout=0.0),
)
agave32 = agave.variant(
    "AGAVE of 32x32 colour tiles (embedded)",
    image_shape=(32, 32, 3),
    parameters=728_769,
    data=tiles32.data,
    model=dict(latents=16, decoder=agave.model["decoder"] | dict(blocks=2)),
    train=dict(steps=20_000, sample_every=2000),
)

# scikit-learn's 8×8 digits: seconds on a CPU, for tests and first steps.
digits = Preset(
    "8x8 digits (embedded), in seconds",
    image_shape=(8, 8, 1),
    parameters=15_504,
    data=dict(source="embedded:digits8", levels=16),
    model=dict(features=16, layers=3, first_kernel_size=5, condition="label"),
    train=dict(
        steps=1000,
        batch_size=32,
        learning_rate=0.003,
        warmup_steps=50,
        schedule="cosine",
        eval_every=250,
        save_every=250,
        sample_every=500,
        samples=40,
    ),
)
