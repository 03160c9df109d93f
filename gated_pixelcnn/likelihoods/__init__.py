"""Likelihoods: the distribution of a value given everything before it, from a parameter map.

A network ends in `parameters_per_pixel` numbers per pixel; a likelihood turns them into nats and
into draws. It is a plain object without variables, so a model that holds one can be saved, exported
and distributed.

Values are levels 0 ... levels - 1. The logistic kinds see them as x = 2 * value / (levels - 1) - 1,
as the networks do.
"""

import difflib

from gated_pixelcnn.likelihoods.base import Likelihood
from gated_pixelcnn.likelihoods.discrete import Bernoulli, Categorical, IndependentCategorical
from gated_pixelcnn.likelihoods.logistic import (
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    clamp_log_scale,
    discretized_logistic_log_prob,
)

__all__ = [
    "Bernoulli",
    "Categorical",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "IndependentCategorical",
    "Likelihood",
    "clamp_log_scale",
    "discretized_logistic_log_prob",
    "get",
]

KINDS = {
    "bernoulli": Bernoulli,
    "categorical": Categorical,
    "independent": IndependentCategorical,
    "logistic": DiscretizedLogistic,
    "mixture": DiscretizedLogisticMixture,
}


def get(name: str, channels: int, levels: int, components: int = 10) -> Likelihood:
    """A likelihood by name.

    Args:
      name: "bernoulli", "categorical", "independent", "logistic" or "mixture".
      channels: number of colours.
      levels: number of levels.
      components: number of components; only a mixture has them.

    Returns:
      A `Likelihood`.

    Raises:
      ValueError: if the name is unknown or a size does not fit the likelihood.
    """
    if name not in KINDS:
        nearest = difflib.get_close_matches(str(name), KINDS, n=1, cutoff=0.4)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        allowed = ", ".join(repr(kind) for kind in KINDS)
        raise ValueError(f"likelihood must be one of {allowed}; got {name!r}.{hint}")
    sizes = {"components": components} if name == "mixture" else {}
    return KINDS[name](channels, levels, **sizes)
