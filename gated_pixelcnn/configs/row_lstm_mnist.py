"""The Row LSTM of 2016a for static binarized MNIST, at the size of its Diagonal BiLSTM."""

from gated_pixelcnn.configs import pixelcnn_mnist


def get_config():
    """Returns the configuration."""
    return pixelcnn_mnist.of_family("row_lstm", "Row LSTM", nats="80.54")
