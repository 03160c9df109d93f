"""ImageNet at 32×32 and 64×64.

`downsampled_imagenet`, whose bits/dim the papers report, has no labels. `imagenet_resized` has, but
was made smaller in another way, so that its bits/dim do not compare. The sizes of the images are
not known before the download, so `image_size` says them.
"""

from gated_pixelcnn.configs import cifar10
from gated_pixelcnn.configs.preset import Preset

# As in the paper: 20 layers, 384 features, 5×5, batch 128, 200,000 steps.
imagenet32 = Preset(
    "ImageNet 32x32, the paper's model",
    expected="3.83 (paper, validation)",
    image_shape=(32, 32, 3),
    parameters=122_649_984,
    data=dict(source="tfds:downsampled_imagenet/32x32", image_size=32),
    model=dict(features=384, layers=20, kernel_size=5, head_features=768),
    train=dict(
        steps=200_000,
        batch_size=128,
        warmup_steps=1000,
        schedule="exponential",
        decay=0.99999,
        clip_norm=1.0,  # ours, as is the averaging of the weights
        ema_decay=0.9995,
        eval_every=5000,
        eval_images=10_000,
        save_every=2000,
        sample_every=10_000,
    ),
)
# The paper's headline: its model of ImageNet, given one of 1,000 labels.
imagenet32_by_class = imagenet32.variant(
    "ImageNet 32x32 by class, the paper's model",
    parameters=152_601_984,
    data=dict(source="tfds:imagenet_resized/32x32"),
    model=dict(condition="label"),
)
# The model of ImageNet 32×32; the paper gives no other sizes.
imagenet64 = imagenet32.variant(
    "ImageNet 64x64, the paper's model",
    expected="3.57 (paper, validation)",
    image_shape=(64, 64, 3),
    parameters=122_649_984,
    data=dict(source="tfds:downsampled_imagenet/64x64", image_size=64),
)
# The paper's appendix. It does not tell the architecture; the submodels are as its ImageNet models.
multiscale64 = imagenet32.variant(
    "Multi-scale: ImageNet at 32x32, then 64x64, by class",
    image_shape=(64, 64, 3),
    parameters=280_477_568,
    data=dict(source="tfds:imagenet_resized/64x64", image_size=64),
    model=dict(
        family="auxiliary",
        condition="label",
        embedding_features=64,
        spatial_features=64,
        prior=imagenet32.model,
        conditional=imagenet32.model,
    ),
)

# The paper gives neither the size of the images that the patches are of nor that of the decoder,
# which is that of its models of ImageNet.
autoencoder10_imagenet = imagenet32.variant(
    "Autoencoder of 32x32 patches of ImageNet 64x64: a patch from 10 numbers",
    parameters=127_445_764,
    data=dict(source="tfds:imagenet_resized/64x64", image_size=64, patch=32),
    model=dict(condition="image", code_size=10),
    train=dict(samples=10),
)
autoencoder100_imagenet = autoencoder10_imagenet.variant(
    "Autoencoder of 32x32 patches of ImageNet 64x64: a patch from 100 numbers",
    parameters=130_168_534,
    model=dict(code_size=100),
)

# "Pixel Recurrent Neural Networks": 12 layers, h = 384, and 4 layers, h = 512, without residual
# connections.
row_lstm_imagenet32 = Preset(
    "ImageNet 32x32, Row LSTM at the size of 2016a",
    expected="3.86 (paper, validation)",
    image_shape=(32, 32, 3),
    parameters=54_757_122,
    data=imagenet32.data,
    model=dict(family="row_lstm", features=384, layers=12, head_features=1026),
    train=cifar10.pixelcnn_cifar10.train | dict(batch_size=32),
)
row_lstm_imagenet64 = row_lstm_imagenet32.variant(
    "ImageNet 64x64, Row LSTM at the size of 2016a",
    expected="3.63 (paper, validation)",
    image_shape=(64, 64, 3),
    parameters=33_517_110,
    data=imagenet64.data,
    model=dict(
        features=513,  # the paper's 512 cannot be shared among three colours
        layers=4,
        residual=False,
    ),
)
