"""Options of sampling: draws that differ from the model's own distribution."""

from typing import NamedTuple

import tensorflow as tf


class SamplingOptions(NamedTuple):
    """Changes to the model's own distribution before a draw; by default none.

    Attributes:
      temperature: scalar above 0: divides logits and multiplies the scales of logistics.
      reduce_log_scale: of logistics; what is subtracted from log-scales, before their lower bound
        ("variance-reduced sampling", Kolesnikov and Lampert, 2017).
      most_probable: of logistics; whether only a component is drawn, one for all colours of a
        pixel, and a value is its mean ("MAP sampling", the same), the most probable one unless the
        logistic is so wide that an edge bin has more.
      top_k: of a softmax; each value is drawn from the k most probable ones, and those that are as
        probable as the last of them ("Hierarchical Neural Story Generation", Fan et al., 2018).
        0: from all.
      top_p: of a softmax; each value is drawn from the fewest most probable ones that have this
        probability together, and those that are as probable as the last of them ("The Curious Case
        of Neural Text Degeneration", Holtzman et al., 2020), after temperature and top_k. 1: from
        all.

    Log-probabilities are always those of the model itself.
    """

    temperature: float | tf.Tensor = 1.0
    reduce_log_scale: float | tf.Tensor = 0.0
    most_probable: bool = False
    top_k: int = 0
    top_p: float | tf.Tensor = 1.0


UNCHANGED = SamplingOptions()
