"""The Row LSTM of 2016a for static binarized MNIST.

The paper tells the size of its Diagonal BiLSTM only, 7 layers and h = 16; this is the same.
"""

from gated_pixelcnn.configs import base, diagonal_bilstm_mnist


def get_config():
    """Returns the configuration."""
    config = base.get_config("row_lstm")
    diagonal = diagonal_bilstm_mnist.get_config()
    config.description = "static binarized MNIST, Row LSTM at the size of 2016a's Diagonal BiLSTM"
    config.expected = "80.54 nats (paper, test)"
    config.data.update(diagonal.data)
    keys = ("features", "layers", "head_features", "likelihood")
    config.model.update({key: diagonal.model[key] for key in keys})
    config.train.update(diagonal.train)
    return config
