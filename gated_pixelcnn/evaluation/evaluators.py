"""Evaluators: what is measured of a model, the same in training and in evaluate.py.

An evaluator is a small class in a file of its own:

- `applies_to(model)`: whether it measures something of such a model;
- `evaluate(model, images)`: a dict of results of `Images`, for JSON;
- of those that tell the best weights of a training: `loss(model, result)`, the lower the better,
  with its `name` and `unit`;
- of those whose numbers a training shows, too: `details_of(model, images)`, {name: number}, and
  `scalars`, {name: (tag in TensorBoard, description)};
- of those that a flag asks for: `needs`, what the flag's model must be.
"""

from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation.bits import BitsPerDim, MismatchedCondition
from gated_pixelcnn.evaluation.code_prior import CodePrior
from gated_pixelcnn.evaluation.code_usage import CodeUsage
from gated_pixelcnn.evaluation.latents import Latents
from gated_pixelcnn.evaluation.reconstruction import Reconstruction
from gated_pixelcnn.evaluation.stages import Stages
from gated_pixelcnn.evaluation.verification import Verification

VALIDATION = (BitsPerDim(), Reconstruction(), Verification())
DETAILED = (Latents(), CodePrior(), CodeUsage())
ALWAYS = (*VALIDATION, MismatchedCondition(), *DETAILED, Stages())


def validation_of(model):
    """The evaluator whose loss tells the best weights of a model in training."""
    return next(evaluator for evaluator in VALIDATION if evaluator.applies_to(model))


def evaluate_all(model, images, evaluators):
    """The results of all evaluators that apply to a model, in one dict.

    Raises:
      UserError: a log-probability is not finite; or see the evaluators.
    """
    result = {}
    try:
        for evaluator in evaluators:
            if evaluator.applies_to(model):
                found = evaluator.evaluate(model, images)
                details = result.get("details", {}) | found.pop("details", {})
                result |= found | ({"details": details} if details else {})
    except FloatingPointError as error:
        raise UserError(str(error)) from error
    return result
