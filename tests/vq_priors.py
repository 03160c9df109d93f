"""Small priors of codes for tests, with random weights, and requests to them."""

import itertools
import math

import keras
import numpy as np
import tensorflow as tf
from families import FAMILIES, randomise

from gated_pixelcnn.models.request import Request
from gated_pixelcnn.sampling.options import UNCHANGED

NAME = "vq_prior"
LABEL = {"condition": "label", "condition_size": 3}
LABELS = np.array([0, 1, 2, 1, 0])


def random_model(image_shape=(4, 6, 3), levels=8, tokenizer=(), **arguments):
    keras.utils.set_random_seed(1)
    arguments = FAMILIES[NAME].arguments | {"dtype": "float64"} | arguments
    arguments["tokenizer"] = arguments["tokenizer"] | dict(tokenizer)
    model = FAMILIES[NAME].model(image_shape, levels, **arguments)
    model.build()
    randomise(model, 0, FAMILIES[NAME].weights)
    return model


def tiny_model(**arguments):
    """Of 2×4 binary pixels: two codes of three, one after the other."""
    tokenizer = {"codes": 3, "likelihood": "bernoulli"}
    return random_model((2, 4, 1), 2, tokenizer, **arguments)


def request_of(model, num, seed=5, condition=None, given=None, known=None, **options):
    """A `Request` for images 0…num−1."""
    if given is not None:
        given, known = model.image_spec.check_completion(given, known, num)
    how = (tf.constant(seed, tf.int64), UNCHANGED._replace(**options), given, known)
    return Request(num, condition, *how, tf.range(num))


def all_codes(model):
    places = math.prod(model.codes_shape)
    codes = np.array(list(itertools.product(range(model.codes), repeat=places)))
    return codes.reshape(-1, *model.codes_shape)
