"""The PixelCNN of 2016a for static binarized MNIST.

The paper tells the size of its Diagonal BiLSTM only, 7 layers and h = 16; this is the same.
"""

from gated_pixelcnn.configs import diagonal_bilstm_mnist, schema


def get_config():
    """Returns the configuration."""
    return of_family("pixelcnn", "PixelCNN", nats="81.30")


def of_family(family, name, nats):
    """The Diagonal BiLSTM's sizes, images and training for another family of the paper."""
    config = schema.defaults(family)
    diagonal = diagonal_bilstm_mnist.get_config()
    config.description = f"static binarized MNIST, {name} at the size of 2016a's Diagonal BiLSTM"
    config.expected = f"{nats} nats (paper, test)"
    config.data.update(diagonal.data)
    keys = ("features", "layers", "head_features", "likelihood")
    config.model.update({key: diagonal.model[key] for key in keys})
    config.train.update(diagonal.train)
    return config
