"""PixelRNN with Diagonal BiLSTM layers, sized for a CPU: embedded Fashion-MNIST, 16 levels."""

from gated_pixelcnn.configs import row_lstm, schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults("diagonal_bilstm")
    rows = row_lstm.get_config()
    config.description = "Diagonal BiLSTM (2016a) of Fashion-MNIST (embedded), in minutes"
    config.data.update(rows.data)
    config.model.update(
        features=24,
        layers=3,
        head_features=48,
    )
    config.train.update(rows.train)
    return config
