"""The learning: configuration, data, network, training and prediction."""
