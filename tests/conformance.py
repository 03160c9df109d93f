"""Families, values and conditions of the conformance suite; a new family is one line of FAMILIES.

Every property is tested on images that are not square. `make test` has every family with colour
images, causality and the incremental parameters with gray ones too, and the latter of the first
family with all conditions; `make test-full` has more kinds of values and the families' options.
"""

import dataclasses
import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from gated_pixelcnn.models.families.diagonal_bilstm import DiagonalBiLSTMModel
from gated_pixelcnn.models.families.gated_pixelcnn import GatedPixelCNN
from gated_pixelcnn.models.families.pixelcnn import PixelCNN
from gated_pixelcnn.models.families.pixelcnn_pp import PixelCNNPP
from gated_pixelcnn.models.families.row_lstm import RowLSTMModel


@dataclasses.dataclass(frozen=True)
class Family:
    """A family at a size at which every output can reach every earlier value of a 4×3 image."""

    model: type
    arguments: dict
    has_blind_spot: bool = False  # then a test of its own compares it with theory, pixel by pixel
    weights: float = 1.5  # their size: smaller where nothing saturates
    values: tuple = ("gray", "colour", "bernoulli", "logistic", "mixture")
    even: bool = False  # whether height and width must be
    conditions: tuple = ()  # of its cases in turn; if empty, of all

    def fit(self, shape):
        """A shape of about this size that the family takes: an odd side is doubled."""
        height, width, channels = shape
        if self.even:
            height, width = height * (1 + height % 2), width * (1 + width % 2)
        return height, width, channels

    def takes(self, shape, likelihood):
        """Whether the family has a model of these images, and is tested with such values."""
        categorical = "gray" if shape[-1] == 1 else "colour"
        values = categorical if likelihood == "categorical" else likelihood
        return self.fit(shape) == shape and values in self.values

    @property
    def colour(self):
        """Its kind of values of three colours."""
        return next(values for values in self.values if VALUES[values][0][-1] == 3)

    @property
    def shallow(self):
        """Arguments of the least depth, for images of a few pixels."""
        return {"layers": 2} if "layers" in self.arguments else {}


SINGLE_STACK = {"has_blind_spot": True, "weights": 0.7}
SMALL = {"features": 12, "layers": 3, "kernel_size": 3, "first_kernel_size": 3}
PLUS_PLUS = {"features": 6, "blocks": 1, "scales": 2, "dropout": 0.0}
DIAGONAL = {"features": 12, "layers": 2, "first_kernel_size": 3}

FAMILIES = {
    "gated_pixelcnn": Family(GatedPixelCNN, SMALL),
    "pixelcnn": Family(PixelCNN, SMALL, **SINGLE_STACK),
    "row_lstm": Family(RowLSTMModel, SMALL | {"layers": 2}, **SINGLE_STACK),
    "diagonal_bilstm": Family(DiagonalBiLSTMModel, DIAGONAL, **SINGLE_STACK),
    "pixelcnn_pp": Family(
        PixelCNNPP,
        PLUS_PLUS,
        weights=0.7,
        values=("gray", "mixture"),
        even=True,
        conditions=("spatial", "label-map"),  # maps go through the scales
    ),
}
MAIN = tuple(FAMILIES)
# Options of the first family, for fewer kinds of values.
VARIANT = ("colour", "gray")
FAMILIES |= {
    "gated_pixelcnn-5x5": Family(GatedPixelCNN, SMALL | {"kernel_size": 5}, values=VARIANT),
    "pixelcnn-skips": Family(
        PixelCNN, SMALL | {"skips": True, "kernel_size": 5}, values=VARIANT, **SINGLE_STACK
    ),
    "row_lstm-skips": Family(
        RowLSTMModel,
        SMALL | {"layers": 2, "skips": True, "residual": False},
        values=("colour",),
        **SINGLE_STACK,
    ),
    "diagonal_bilstm-skips": Family(
        DiagonalBiLSTMModel,
        DIAGONAL | {"skips": True, "residual": False},
        values=("colour",),
        **SINGLE_STACK,
    ),
    "gated_pixelcnn-no-skips": Family(GatedPixelCNN, SMALL | {"skips": False}, values=VARIANT),
    "gated_pixelcnn-relu": Family(
        GatedPixelCNN,
        SMALL | {"gate": "relu", "vertical_residual": True},
        values=VARIANT,
        weights=0.7,
    ),
    "gated_pixelcnn-one-stack": Family(
        GatedPixelCNN, SMALL | {"stacks": 1}, values=VARIANT, has_blind_spot=True
    ),
    "gated_pixelcnn-independent": Family(
        GatedPixelCNN, SMALL, values=("independent",), conditions=("label",)
    ),
    "pixelcnn_pp-1-scale": Family(
        PixelCNNPP, PLUS_PLUS | {"scales": 1, "blocks": 2}, values=("mixture",), weights=0.7
    ),
    "pixelcnn_pp-3-scales": Family(  # 1×2 pixels at the last one
        PixelCNNPP,
        PLUS_PLUS | {"scales": 3},
        values=("mixture",),
        weights=0.7,
        even=True,
    ),
}

# What the values are: (image shape, levels, likelihood).
VALUES = {
    "bernoulli": ((3, 4, 1), 2, "bernoulli"),
    "gray": ((4, 3, 1), 5, "categorical"),
    "colour": ((3, 4, 3), 4, "categorical"),
    "logistic": ((4, 3, 3), 6, "logistic"),
    "mixture": ((3, 4, 3), 6, "mixture"),
    "independent": ((3, 4, 3), 4, "independent"),
}

CONDITIONS = {
    "none": {},
    "label": {"condition": "label", "condition_size": 3},
    "vector": {"condition": "vector", "condition_size": 2},
    "spatial": {"condition": "spatial", "condition_size": 2},
    "label-map": {"condition": "label", "condition_size": 3, "spatial_features": 4},
    "vector-map": {"condition": "vector", "condition_size": 2, "spatial_features": 4},
    "image": {"condition": "image", "code_size": 2, "encoder_features": 4},
}


def in_turn():
    """The first kind of values of every family, then the second, …; conditions in turn."""
    any_of_them = itertools.cycle(CONDITIONS)
    for number in range(len(VALUES)):
        for name, family in FAMILIES.items():
            if number < len(family.values):
                own = family.conditions
                yield name, family.values[number], own[number] if own else next(any_of_them)


def cases(all_cases, quick):
    """Parametrizes by case; those that are not `quick` are left to `make test-full`.

    Args:
      all_cases: (family, values, condition).
      quick: function of a case.
    """
    return pytest.mark.parametrize(
        "case",
        [pytest.param(case, marks=() if quick(case) else pytest.mark.slow) for case in all_cases],
        ids=["/".join(case) for case in all_cases],
    )


def is_quick(case):
    """Gray and colour images of every family, colour ones of its options."""
    family, values, _ = case
    return is_colour(case) or (values == "gray" and family in MAIN)


def is_colour(case):
    """Colour images of every family."""
    return case[1] == FAMILIES[case[0]].colour


def is_of_the_first_family(case):
    """Gated PixelCNN as it is."""
    return case[0] == next(iter(FAMILIES))


def is_colour_of_a_main_family(case):
    """Colour images of every family, but not of its options."""
    return is_colour(case) and case[0] in MAIN


def is_one_of_a_main_family(case):
    """One case of every family but not of its options."""
    return case in IN_TURN and is_colour_of_a_main_family(case)


IN_TURN = list(in_turn())
# The first family with every condition.
CASES = [(MAIN[0], "colour", condition) for condition in CONDITIONS]
CASES = IN_TURN + [case for case in CASES if case not in IN_TURN]
# For what hardly depends on both: all values of the first family, colour images of the others.
FEWER = [case for case in IN_TURN if is_colour(case) or case[0] == MAIN[0]]
PLAIN = [(family, values, "none") for family, values, _ in FEWER]


def build(case, dtype="float32", **changes):
    """The model of a case, with random weights (biases too) of a size that tells paths apart."""
    family, values, condition = case
    shape, levels, likelihood = VALUES[values]
    arguments = {
        **FAMILIES[family].arguments,
        **CONDITIONS[condition],
        "image_shape": FAMILIES[family].fit(shape),
        "levels": levels,
        "likelihood": likelihood,
        "components": 3,
        **changes,
    }
    keras.utils.set_random_seed(1)
    model = FAMILIES[family].model(dtype=dtype, **arguments)
    model.build()
    randomise(model, 0, FAMILIES[family].weights)
    return model


@functools.cache
def shared_model(case):
    """The model of a case, to be left as it is: tests that share it share its graphs, too."""
    return build(case)


def randomise(model, seed, size=1.5):
    """Other weights for the same model, of a size relative to what they are summed over."""
    random = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        fan = np.prod(weight.shape[:-1]) or 1
        weight.assign(random.normal(size=weight.shape) * (size / np.sqrt(fan)))


def reloaded(model, tmp_path):
    """The model after a round trip through a .keras file."""
    model.save(tmp_path / "model.keras")
    return keras.saving.load_model(tmp_path / "model.keras")


def images_of(model, num, seed=0):
    """Random images."""
    random = np.random.default_rng(seed)
    return random.integers(0, model.levels, (num, *model.image_shape)).astype(np.uint8)


def condition_of(model, num, seed=0):
    """Conditions, each another one."""
    random = np.random.default_rng(seed)
    size = model.condition_size
    return {
        None: None,
        "label": np.arange(num) % max(size, 1),
        "vector": random.normal(size=(num, size)).astype(np.float32),
        "spatial": random.normal(size=(num, *model.image_shape[:2], size)).astype(np.float32),
        "image": images_of(model, num, seed + 7),
    }[model.condition_kind]


def dependencies(model, seeds=3):
    """Which parameters depend on which input values: booleans [groups, values].

    A group is a position and, where colours have parameters of their own, a colour. The Jacobian is
    taken in one backward pass: the image stands in the batch once for every group, and each copy is
    asked for one group. The union over some seeds is taken, for a dead ReLU hides a path.
    """
    height, width, channels = model.image_shape
    groups, values = height * width * model.colours, height * width * channels

    @tf.function(autograph=False)
    def gradient(x, condition, projection):
        condition = model.map_condition(condition)
        with tf.GradientTape() as tape:
            tape.watch(x)
            parameters = model.likelihood.parameters(model.parameter_map(x, condition))
            parameters = tf.reshape(parameters, (groups, groups, -1))
            wanted = tf.linalg.diag_part(tf.transpose(parameters, [2, 0, 1]))
            total = tf.reduce_sum(wanted * projection[: tf.shape(wanted)[0]])
        return tape.gradient(total, x)

    seen = np.zeros((groups, values), bool)
    for seed in range(seeds):
        randomise(model, seed)
        random = np.random.default_rng(seed)
        image = tf.constant(random.uniform(-1, 1, (1, *model.image_shape)))
        projection = tf.constant(random.normal(size=(1000, 1)))
        condition = condition_of(model, 1, seed)
        if condition is not None:
            condition = np.repeat(condition, groups, axis=0)
        jacobian = gradient(tf.repeat(image, groups, axis=0), condition, projection).numpy()
        seen |= jacobian.reshape(groups, values) != 0
    return seen


def earlier(model):
    """Which values come before a group of parameters in the order (row, column, colour)."""
    height, width, channels = model.image_shape
    values = np.arange(height * width * channels)
    return values < (np.arange(height * width * model.colours) * channels // model.colours)[:, None]


def of_families(*distributions):
    """Parametrizes by family and (shape, levels, likelihood) that it has a model of.

    Quick is the first of every family, and all of the first family; of its options none.
    """
    chosen = []
    for name, family in FAMILIES.items():
        taken = [kind for kind in distributions if family.takes(kind[0], kind[2])]
        for number, kind in enumerate(taken):
            quick = name in MAIN and (number == 0 or name == MAIN[0])
            shape = "x".join(map(str, kind[0]))
            chosen.append(
                pytest.param(
                    name,
                    *kind,
                    marks=() if quick else pytest.mark.slow,
                    id=f"{name}/{shape}-{kind[1]}-{kind[2]}",
                )
            )
    return pytest.mark.parametrize(("family", "shape", "levels", "likelihood"), chosen)


def tiny_model(family, shape, levels, likelihood):
    """A model of which all images can be counted."""
    arguments = {"image_shape": shape, "levels": levels, "likelihood": likelihood}
    return build((family, "gray", "none"), **arguments, **FAMILIES[family].shallow)
