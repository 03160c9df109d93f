"""Cases of the conformance suite, models of them, and what is left out: see `families`.

Every property is tested on images that are not square. `make test` has every family with colour
images, causality and the incremental parameters with gray ones too, and the latter of the first
family with all conditions; `make test-full` has more kinds of values and the families' options.
"""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from families import FAMILIES, MAIN, images_of, randomise
from family import CONDITIONS, VALUES

from gated_pixelcnn.models.autoregressive_model import AutoregressiveModel
from gated_pixelcnn.models.density_model import DensityModel


def in_turn():
    """The first kind of values of every family, then the second, …; conditions in turn."""
    any_of_them = itertools.cycle(CONDITIONS)
    for number in range(len(VALUES)):
        for name, family in FAMILIES.items():
            if number < len(family.values):
                own = family.conditions
                condition = own[number % len(own)] if own else next(any_of_them)
                yield name, family.values[number], condition


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


def exact(all_cases):
    """The cases of families with exact log-probabilities of single values."""
    return [case for case in all_cases if FAMILIES[case[0]].is_exact]


def with_whole_rows(all_cases):
    """The cases of families that run all pixels of a row at once."""
    return [case for case in all_cases if FAMILIES[case[0]].model.has_whole_rows]


def density(all_cases):
    """The cases of families with log-probabilities and samples."""
    return [case for case in all_cases if FAMILIES[case[0]].is_density]


def bounds(all_cases):
    """The cases of families whose log-probabilities are lower bounds."""
    return [case for case in density(all_cases) if FAMILIES[case[0]].model.is_lower_bound]


def completing(all_cases):
    """The cases of families that complete images."""
    return [case for case in density(all_cases) if FAMILIES[case[0]].model.completes]


def computed(model, images, condition=None):
    """What a model says of images: nats by value or by term; of others what they give."""
    if isinstance(model, AutoregressiveModel):
        return model.value_log_prob(images, condition)
    if isinstance(model, DensityModel):
        return model.log_prob_terms(images, condition)
    return model(images)


def build(case, dtype="float32", **changes):
    """The model of a case, with random weights (biases too) of a size that tells paths apart."""
    family, values, condition = case
    shape, levels, likelihood = VALUES[values]
    arguments = {
        **FAMILIES[family].arguments,
        **CONDITIONS[condition],
        "image_shape": FAMILIES[family].fit(shape),
        "levels": levels,
        **changes,
    }
    if FAMILIES[family].is_exact:
        arguments = {"likelihood": likelihood, "components": 3} | arguments
    keras.utils.set_random_seed(1)
    model = FAMILIES[family].model(dtype=dtype, **arguments)
    model.build()
    randomise(model, 0, FAMILIES[family].weights)
    return model


@functools.cache
def shared_model(case):
    """The model of a case, to be left as it is: tests that share it share its graphs, too."""
    return build(case)


def reloaded(model, tmp_path):
    """The model after a round trip through a .keras file."""
    model.save(tmp_path / "model.keras")
    return keras.saving.load_model(tmp_path / "model.keras")


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
            parameters = model.raw_parameters(model.parameter_map(x, condition))
            parameters = model.likelihood.parameters(parameters)
            parameters = tf.reshape(parameters, (groups, groups, -1))
            wanted = tf.linalg.diag_part(tf.transpose(parameters, [2, 0, 1]))
            total = tf.reduce_sum(wanted * projection[: tf.shape(wanted)[0]])
        return tape.gradient(total, x)

    seen = np.zeros((groups, values), bool)
    for seed in range(seeds):
        randomise(model, seed)
        random = np.random.default_rng(seed)
        shape = (1, *model.image_shape[:2], model.input_features)
        image = tf.constant(random.uniform(-1, 1, shape))
        projection = tf.constant(random.normal(size=(5000, 1)))
        condition = condition_of(model, 1, seed)
        if condition is not None:
            condition = np.repeat(condition, groups, axis=0)
        jacobian = gradient(tf.repeat(image, groups, axis=0), condition, projection).numpy()
        seen |= (jacobian.reshape(groups, values, -1) != 0).any(axis=-1)
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
        if not family.is_exact:
            continue
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
