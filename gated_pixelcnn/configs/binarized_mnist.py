"""Static binarized MNIST.

It is the data set of the published nats per image.
"""

from gated_pixelcnn.configs.preset import Preset

binarized_mnist = Preset(
    "static binarized MNIST (50k/10k/10k)",
    image_shape=(28, 28, 1),
    parameters=1_924_993,
    data=dict(
        source="tfds:binarized_mnist",
        levels=2,
        validation=0,  # an npz file's x_test is the validation set of this data set
    ),
    model=dict(features=64, layers=12, kernel_size=5, likelihood="bernoulli"),
    train=dict(
        steps=100_000,
        batch_size=64,
        warmup_steps=500,
        schedule="cosine",
        final_fraction=0.01,
        clip_norm=1.0,  # ours, as is the averaging of the weights
        eval_batch_size=256,
    ),
)
# In a size for an hour on a CPU core.
binarized_mnist_cpu = binarized_mnist.variant(
    "static binarized MNIST for a CPU",
    parameters=164_673,
    expected="80.83 nats, measured",  # of the held-out images
    model=dict(
        features=16,
        layers=10,
        kernel_size=7,  # at equal time it gains more than more features do: docs/results.md
    ),
    train=dict(
        steps=25_000,
        minutes=60.0,
        batch_size=16,
        learning_rate=0.002,  # of 0.004 and 0.002 the better one at an hour
        warmup_steps=100,
        eval_images=2000,
        eval_every=2000,
        save_every=1000,
        sample_every=5000,
    ),
)

# "Pixel Recurrent Neural Networks": 7 layers, h = 16. The paper tells the size of its Diagonal
# BiLSTM only; the other families have the same.
SIZE = dict(features=16, layers=7, head_features=32, likelihood="bernoulli")
diagonal_bilstm_mnist = Preset(
    "static binarized MNIST, Diagonal BiLSTM at the size of 2016a",
    expected="79.20 nats (paper, test)",
    image_shape=(28, 28, 1),
    parameters=64_385,
    data=binarized_mnist.data,
    model=dict(family="diagonal_bilstm", **SIZE),
    train=dict(
        steps=300_000,
        batch_size=16,
        optimizer="rmsprop",
        learning_rate=1e-3,
        schedule="exponential",
        decay=0.99999,
        clip_norm=1.0,  # ours, as is the averaging of the weights
        eval_batch_size=256,
        eval_every=3000,
    ),
)
pixelcnn_mnist = diagonal_bilstm_mnist.variant(
    "static binarized MNIST, PixelCNN at the size of 2016a's Diagonal BiLSTM",
    expected="81.30 nats (paper, test)",
    parameters=18_465,
    model=dict(family="pixelcnn", **SIZE),
)
row_lstm_mnist = diagonal_bilstm_mnist.variant(
    "static binarized MNIST, Row LSTM at the size of 2016a's Diagonal BiLSTM",
    expected="80.54 nats (paper, test)",
    parameters=56_545,
    model=dict(family="row_lstm", **SIZE),
)
