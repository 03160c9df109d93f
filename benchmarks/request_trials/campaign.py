"""A campaign: requests one after the other, and what became of each."""

import collections

import numpy as np

from request_trials.making import Maker
from request_trials.server import Crashed, Hung, Server

OUTCOMES = ("answered", "refused", "wrong", "unclear", "crashed", "hung")
GOOD = OUTCOMES[:2]


def run(path, facts, num, seed, report=print):
    """Sends requests to a server of a SavedModel.

    Args:
      path: The SavedModel.
      facts: image_shape, levels, condition_size and max_images of its model.
      num: Number of requests.
      seed: Of the requests.
      report: Is called with a line about every request that did not end well.

    Returns:
      Counter of (signature, outcome), and the megabytes by which the requests raised the process's
      peak of memory. Beside the requests it counts a valid one for each signature, sent before all
      others and once more at the end.
    """
    outcomes = collections.Counter()
    server = Server(path)
    try:
        maker = Maker(server.signatures, facts, seed)
        before = [maker.valid(name, facts["max_images"]) for name in sorted(server.signatures)]
        answers = [server.answer(r.signature, r.inputs) for r in before]
        memory = server.peak_memory()
        for _ in range(num):
            request = maker.request()
            try:
                answer = server.answer(request.signature, request.inputs)
                outcome, reason = judge(request, *answer, facts)
            except (Crashed, Hung) as error:
                outcome, reason = type(error).__name__.lower(), str(error)
                server = Server(path)
            outcomes[request.signature, outcome] += 1
            if outcome not in GOOD:
                report(f"{outcome}: {describe(request)}: {reason}")
        for request, answer in zip(before, answers, strict=True):
            outcome, reason = judge(request, *answer, facts)
            if not same(answer, server.answer(request.signature, request.inputs)):
                outcome, reason = "wrong", "not the answer that it gave at first"
            outcomes[request.signature, outcome] += 1
            if outcome not in GOOD:
                report(f"{outcome}: {describe(request)}, after all: {reason}")
        return outcomes, server.peak_memory() - memory
    finally:
        server.stop()


def judge(request, outputs, error, facts):
    """Returns the outcome of a request, one of OUTCOMES, and why."""
    if error is not None:
        kind, message = error
        if not request.faults:
            return "wrong", f"a valid request was refused: {message}"
        if kind != "InvalidArgumentError":
            return "unclear", f"{kind}: {message}"
        if not any(name in message for name, _ in request.faults):
            return "unclear", message
        return "refused", message
    if not request.may_be_answered:
        return "wrong", "it was answered"
    reason = complaint(request, outputs, facts)
    return ("wrong", reason) if reason else ("answered", "")


def complaint(request, outputs, facts):
    """What is wrong with the answer to a valid request; None if nothing is."""
    batches = [len(array) for array in request.inputs.values() if array.ndim]
    num = batches[0] if batches else int(request.inputs["num"])
    shape = (num, *facts["image_shape"])
    for name, array in outputs.items():
        wanted = (num,) if name in ("log_prob", "bits_per_dim") else shape
        if array.shape != wanted:
            return f"{name} has the shape {array.shape} and not {wanted}"
        if name == "images":
            if array.dtype != np.uint8 or array.max() >= facts["levels"]:
                return f"{name} has other values than 0…{facts['levels'] - 1}"
            if "known" in request.inputs:
                known = request.inputs["known"]
                if not np.array_equal(array[known], request.inputs["images"][known]):
                    return "known values were not kept"
        elif not np.isfinite(array).all():
            return f"{name} is not finite"
        elif (array * (-1 if name == "bits_per_dim" else 1)).max() > 1e-3:
            return f"{name} is of a probability above 1"
    return None


def same(answer, other):
    """Whether two answers are the same, but for rounding of log-probabilities."""
    (outputs, error), (others, other_error) = answer, other
    if error or other_error:
        return False
    return all(np.allclose(outputs[name], others[name], rtol=1e-4, atol=1e-4) for name in outputs)


def describe(request):
    """A line about a request."""
    faults = ", ".join(f"{fault} ({name})" for name, fault in request.faults) or "valid"
    inputs = ", ".join(f"{k} {v.dtype}{list(v.shape)}" for k, v in request.inputs.items())
    return f"{request.signature}, {faults}; {inputs}"
