"""CIFAR-10."""

from gated_pixelcnn.configs.preset import Preset, pyramid_model

# The papers of 2017 and 2018 train on all 50,000 images; the test images choose the weights.
ALL = dict(source="tfds:cifar10", validation=0)

# The paper gives no sizes for it; these are in the range of its authors' other work.
cifar10 = Preset(
    "CIFAR-10",
    expected="3.03 (paper, test)",
    image_shape=(32, 32, 3),
    parameters=24_752_256,
    data=dict(source="tfds:cifar10"),
    model=dict(features=192, layers=15, kernel_size=5, head_features=768),
    train=dict(
        steps=200_000,
        batch_size=64,
        warmup_steps=1000,
        schedule="exponential",
        decay=0.99999,
        clip_norm=1.0,  # ours, as is the averaging of the weights
        ema_decay=0.9995,
        eval_every=2000,
        eval_batch_size=128,
    ),
)

# "Pixel Recurrent Neural Networks": a PixelCNN of 15 layers, LSTMs of 12 layers, h = 128. The
# paper's 128 cannot be shared among three colours, nor can its 1024.
pixelcnn_cifar10 = Preset(
    "CIFAR-10, PixelCNN at the size of 2016a",
    expected="3.14 (paper, test)",
    image_shape=(32, 32, 3),
    parameters=3_328_353,
    data=dict(source="tfds:cifar10"),
    model=dict(family="pixelcnn", features=129, layers=15, head_features=1026),
    train=dict(
        steps=500_000,
        batch_size=16,
        optimizer="rmsprop",
        learning_rate=1e-3,
        schedule="exponential",
        decay=0.99999,
        clip_norm=1.0,  # ours, as is the averaging of the weights
        eval_every=5000,
        save_every=2000,
        sample_every=10_000,
    ),
)
row_lstm_cifar10 = pixelcnn_cifar10.variant(
    "CIFAR-10, Row LSTM at the size of 2016a",
    expected="3.07 (paper, test)",
    parameters=7_077_222,
    model=dict(family="row_lstm", features=129, layers=12, head_features=1026),
)
diagonal_bilstm_cifar10 = pixelcnn_cifar10.variant(
    "CIFAR-10, Diagonal BiLSTM at the size of 2016a",
    expected="3.00 (paper, test)",
    parameters=7_885_278,
    model=dict(family="diagonal_bilstm", features=129, layers=12, head_features=1026),
)

# As in the authors' code: F = 160, batches of 8 × 16 images.
pixelcnn_pp_cifar10 = Preset(
    "CIFAR-10, PixelCNN++ at the size of the authors' code",
    expected="2.92 (paper, test)",
    image_shape=(32, 32, 3),
    parameters=53_659_080,
    data=ALL,
    model=dict(family="pixelcnn_pp"),
    train=dict(
        steps=1_500_000,
        batch_size=128,
        beta_1=0.95,
        beta_2=0.9995,
        schedule="exponential",
        decay=0.999995,
        clip_norm=0.0,  # as in the code
        ema_decay=0.9995,
        eval_every=5000,
        save_every=2000,
        sample_every=10_000,
    ),
)
# With the 192 features that the paper has, and its code has not.
pixelcnn_pp_cifar10_192 = pixelcnn_pp_cifar10.variant(
    "CIFAR-10, PixelCNN++ at the size of the paper",
    expected="2.92 (paper, test)",
    parameters=77_244_104,
    model=dict(features=192),
)

# 16 grays, then the colours. Both submodels have the 200 epochs that the paper has for the colours.
# Its prior has 30: train this apart by --config.model.train_only=prior --config.train.steps=23438,
# and the colours by --config.model.train_only=conditional.
grayscale_cifar10 = Preset(
    "CIFAR-10, Grayscale PixelCNN at the paper's sizes",
    expected="2.98 (paper, test, bound)",
    image_shape=(32, 32, 3),
    parameters=137_784_872,
    data=ALL | dict(flips=True),
    model=dict(
        family="auxiliary",
        transform="grayscale",
        embedding="resnet",
        embedding_features=160,
        embedding_blocks=4,
        embedding_scales=3,
        prior=dict(family="pixelcnn_pp", likelihood="categorical"),
        conditional=dict(
            family="pixelcnn_pp",
            blocks=4,  # the paper's "24 blocks instead of 36"
        ),
    ),
    train=dict(
        steps=156_250,  # 200 epochs
        batch_size=64,
        schedule="exponential",
        decay=0.99999,
        clip_norm=0.0,  # not in the paper
        ema_decay=0.9995,  # as in PixelCNN++
        eval_every=5000,
        save_every=2000,
        sample_every=10_000,
    ),
)
pyramid_cifar10 = Preset(
    "CIFAR-10, Pyramid PixelCNN at the paper's sizes: 8x8, 16x16, 32x32",
    expected="3.32 (paper, test, bound)",
    image_shape=(32, 32, 3),
    parameters=24_049_400,
    data=ALL,
    model=pyramid_model(halvings=2, features=100, embedding_blocks=3, dropout=0.5),
    train=dict(
        steps=187_500,  # 60 epochs
        batch_size=16,
        schedule="exponential",
        decay=0.999995,
        clip_norm=0.0,  # not in the paper
        ema_decay=0.9995,  # as in PixelCNN++
        eval_every=5000,
        save_every=2000,
        sample_every=10_000,
    ),
)

# Kingma et al. (2016): 20 blocks at 16×16.
vae_cifar10 = Preset(
    "CIFAR-10, variational autoencoder with inverse autoregressive flow",
    expected="3.11 (paper, test, 10,000 draws)",
    image_shape=(32, 32, 3),
    parameters=36_094_569,
    data=ALL,
    model=dict(family="vae"),
    train=dict(
        steps=1_000_000,
        batch_size=16,
        optimizer="adamax",
        learning_rate=0.002,
        clip_norm=0.0,  # as in the code
        ema_decay=0.999,
        eval_every=5000,
        save_every=2000,
        sample_every=10_000,
    ),
)
# λ = 12 gave the paper's best bound. The averaged weights and the number of steps are those of the
# autoencoder's paper, not its own.
agave_cifar10 = vae_cifar10.variant(
    "CIFAR-10, AGAVE at the paper's sizes",
    expected="2.92 (paper, test, 150 draws)",
    parameters=139_154_289,
    model=dict(family="agave", stream_features=160, kl_weight=12.0, free_bits=0.0),
)
