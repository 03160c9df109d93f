"""The conformance suite goes through all families, but for what is left out here, and why."""

import pytest
import test_conformance
import test_conformance_sampling
from families import DENSITY, EXACT, FAMILIES, MAIN

from gated_pixelcnn.models import registry

OTHERS = set(MAIN) - set(DENSITY)
NOT_EXACT = set(MAIN) - set(EXACT)
NO_WHOLE_ROWS = NOT_EXACT | {"diagonal_bilstm"}
LABELLED = {"auxiliary", "code_hierarchy", "vq_prior"}
_JACOBIAN = "a lower bound has no parameters of a value given those before it; its submodels have"
_BOUND = "a bound does not sum to one; a family of submodels is held to p(x) by tests of its own"
_ONE_NETWORK = (
    "incremental sampling is of one network; submodels are tested as families of their own"
)
_SCAN = f"its pixels need the states of those before them; or {_ONE_NETWORK}"
_CONDITION = "no condition, or one that is given to submodels, see test_auxiliary, test_vq_prior"
_COMPLETES = "drawn in several stages: it refuses to complete, which has a test"
_NO_SAMPLES = "no density model: nothing to draw"
# {property: (families that it leaves out, why)}
LEFT_OUT = {
    "test_parameters_depend_on_all_earlier_values_and_on_no_others": (NOT_EXACT, _JACOBIAN),
    "test_a_reloaded_model_depends_on_all_earlier_values_and_on_no_others": (NOT_EXACT, _JACOBIAN),
    "test_probabilities_of_all_images_sum_to_one": (NOT_EXACT, _BOUND),
    "test_no_log_probability_hides_a_weight_that_is_not_a_number": (OTHERS, _NO_SAMPLES),
    "test_log_probabilities_and_gradients_change_no_weight": (OTHERS, _NO_SAMPLES),
    "test_the_condition_changes_the_distribution_of_every_value": (NOT_EXACT, _CONDITION),
    "test_each_class_has_weights_of_its_own": (NOT_EXACT, _CONDITION),
    "test_labels_out_of_range_are_refused": (NOT_EXACT - LABELLED, "no labels as a condition"),
    "test_rematerialisation_changes_no_gradient_and_computes_blocks_again": (
        NOT_EXACT,
        "it is done by the submodels; test_auxiliary looks whether they are told to",
    ),
    "test_half_precision_keeps_weights_and_log_probabilities_in_float32": (OTHERS, _NO_SAMPLES),
    "test_half_precision_rounds_no_mean_of_a_logistic": (
        NOT_EXACT - {"vae"},
        "what they draw with is a part that is in it by itself",
    ),
    "test_incremental_parameters_equal_those_of_the_parallel_pass": (NOT_EXACT, _ONE_NETWORK),
    "test_parameters_of_whole_rows_equal_those_of_the_parallel_pass": (NO_WHOLE_ROWS, _SCAN),
    "test_rows_at_once_draw_the_same_images": (NO_WHOLE_ROWS, _SCAN),
    "test_all_pixels_at_once_draw_the_same_images": (NOT_EXACT, _ONE_NETWORK),
    "test_fast_and_naive_sampling_draw_the_same_images": (NOT_EXACT, _ONE_NETWORK),
    "test_fast_sampling_with_xla_draws_the_same_images": (NOT_EXACT, _ONE_NETWORK),
    "test_samples_depend_on_the_seed_and_not_on_the_batch": (OTHERS, _NO_SAMPLES),
    "test_completion_keeps_known_values_and_draws_the_others": (
        NOT_EXACT - {"code_hierarchy", "vq_prior"},
        _COMPLETES,
    ),
    "test_a_bound_refuses_single_values_and_to_complete_what_is_drawn_in_stages": (
        set(EXACT) | OTHERS | {"code_hierarchy"},
        "it is no bound",
    ),
    "test_a_saved_model_draws_the_same_images": (OTHERS, _NO_SAMPLES),
    "test_an_exported_model_is_the_same_model_at_any_batch_size": (
        NOT_EXACT,
        "test_auxiliary and test_agave export runs, whose terms and stages are told, too",
    ),
    "test_samples_follow_the_models_own_distribution": (NOT_EXACT, _BOUND),
    "test_completions_follow_the_distribution_given_what_is_known": (NOT_EXACT, _COMPLETES),
}
PROPERTIES = {
    name: test
    for module in (test_conformance, test_conformance_sampling)
    for name, test in vars(module).items()
    if name.startswith("test_")
}


def families_of(test):
    """The families, by the names that they are registered by, that a property goes through."""
    found = set()
    for mark in test.pytestmark:
        names = mark.args[0] if mark.name == "parametrize" else ()
        for value in mark.args[1] if names == "case" or "family" in names else ():
            value = getattr(value, "values", [value])[0]
            found.add(FAMILIES[value[0] if names == "case" else value].model.family)
    return found


def test_every_registered_family_is_in_the_list():
    assert set(MAIN) == set(registry.FAMILIES)
    assert all(FAMILIES[name].model is registry.FAMILIES[name] for name in MAIN)


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_goes_through_all_families_but_those_left_out(name):
    left_out, why = LEFT_OUT.get(name, ((), ""))
    assert families_of(PROPERTIES[name]) == set(registry.FAMILIES) - {
        FAMILIES[family].model.family for family in left_out
    }, why


def test_nothing_is_left_out_of_a_property_that_there_is_not():
    assert LEFT_OUT.keys() <= PROPERTIES.keys()
