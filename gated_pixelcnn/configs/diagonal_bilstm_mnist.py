"""The Diagonal BiLSTM of 2016a for static binarized MNIST: 7 layers, h = 16."""

from gated_pixelcnn.configs import binarized_mnist, schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults("diagonal_bilstm")
    config.description = "static binarized MNIST, Diagonal BiLSTM at the size of 2016a"
    config.expected = "79.20 nats (paper, test)"
    config.data.update(binarized_mnist.get_config().data)
    config.model.update(
        features=16,
        layers=7,
        head_features=32,
        likelihood="bernoulli",
    )
    config.train.update(
        steps=300_000,
        batch_size=16,
        optimizer="rmsprop",
        learning_rate=1e-3,
        schedule="exponential",
        decay=0.99999,
        clip_norm=1.0,  # ours, as is the averaging of the weights
        eval_batch_size=256,
        eval_every=3000,
    )
    return config
