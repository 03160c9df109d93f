"""Multi-scale PixelRNN (2016a): embedded Fashion-MNIST at 14×14, then at 28×28 given these."""

from gated_pixelcnn.configs import row_lstm, schema


def get_config():
    """Returns the configuration."""
    family = "diagonal_bilstm"
    config = schema.defaults("auxiliary", {"prior": family, "conditional": family})
    rows = row_lstm.get_config()
    config.description = "Multi-scale PixelRNN (2016a): Fashion-MNIST at 14x14, then 28x28"
    config.data.update(rows.data)
    config.train.update(rows.train)
    config.model.embedding_features = 12
    for part in (config.model.prior, config.model.conditional):
        part.update(features=24, layers=3, head_features=48)
    return config
