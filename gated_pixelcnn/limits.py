"""What arguments may be, which scripts check before TensorFlow is there."""

LEAST_TEMPERATURE = 1e-6  # logits divided by it stay finite
MOST_TEMPERATURE = 1e6  # the scales of a logistic times it stay finite
MOST_REDUCTION = 100.0  # of a log-scale: far below the lowest of any likelihood
MOST_CHANNELS = 4  # of an image; what has more are two maps of codes
METHODS = ("pixels", "rows", "image")  # of sampling, see `sampling.loop.run`
