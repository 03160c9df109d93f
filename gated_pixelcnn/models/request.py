"""What is asked of a density model that draws: the arguments of `sample`, checked."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from gated_pixelcnn.limits import LEAST_TEMPERATURE, METHODS, MOST_REDUCTION, MOST_TEMPERATURE
from gated_pixelcnn.sampling import SamplingOptions
from gated_pixelcnn.spec import as_array, check_integer


class Request(NamedTuple):
    """A request for samples: the arguments of `sample`, checked, with a row for every image.

    Attributes:
      num: number of images N; None in an export.
      condition: tensor of N conditions, or None.
      seed: int64, a tensor.
      options: `sampling.SamplingOptions`.
      given: images [N, H, W, C], or None.
      known: booleans [N, H, W, C], or None.
      example_seeds: integers [N].
      jit: whether XLA compiles.
      stage: what was drawn before, of a model that draws in stages and is given one; or None.
      method: see `sampling.loop.run`.
    """

    num: int | None
    condition: tf.Tensor | None
    seed: tf.Tensor
    options: SamplingOptions
    given: tf.Tensor | None
    known: tf.Tensor | None
    example_seeds: tf.Tensor
    jit: bool = False
    stage: tf.Tensor | None = None
    method: str = "pixels"

    def padded(self, num):
        """The same for `num` images: the last one again and again."""
        places = tf.minimum(tf.range(num), tf.shape(self.example_seeds)[0] - 1)
        rows = ("condition", "given", "known", "example_seeds", "stage")
        present = {name: x for name in rows if (x := getattr(self, name)) is not None}
        longer = {name: tf.gather(x, places) for name, x in present.items()}
        return self._replace(num=None if tf.is_tensor(num) else num, **longer)


def check_seed(seed):
    """A seed as int64, or the ValueError that says why it is none; a tensor in a graph stays."""
    if tf.is_symbolic_tensor(seed) and seed.dtype.is_integer:
        return seed
    return tf.constant(check_integer("seed", seed, tf.int64.min, tf.int64.max), tf.int64)


def checked_request(
    model,
    num,
    condition,
    seed=0,
    given=None,
    known=None,
    example_seeds=0,
    jit=True,
    method="pixels",
    **options,
):
    """The `Request` for the arguments of `DensityModel.sample`, which says what they are.

    Raises:
      ValueError: arguments that do not fit the model or each other.
    """
    model.prepare()
    if (given is None) != (known is None):
        raise ValueError("given and known go together: the images and which values to keep.")
    if given is not None and not model.completes:
        raise ValueError(
            "this model draws an image in several stages, so it cannot complete one: leave out "
            "given and known."
        )
    given = None if given is None else as_array("given", given)
    several = condition is not None and not isinstance(condition, str)
    condition = as_array("condition", condition, refused="") if several else condition
    if num is None:
        if condition is None and given is None:
            raise ValueError("num, the number of images to sample, is missing.")
        num = max([np.shape(a)[0] for a in (condition, given) if np.ndim(a)], default=1)
    num = check_integer("num", num, 1)
    condition = model.condition_spec.numbered(condition, num)
    seed = check_seed(seed)
    if not isinstance(jit, bool | np.bool_):
        raise ValueError(f"jit must be True or False, got {jit!r}.")
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}.")
    if method not in model.methods:
        raise ValueError(
            f"method={method!r} is not for this model, which draws by {' or '.join(model.methods)}."
        )
    options = _checked_options(model, **options)
    condition = model.condition_spec.check(condition, num)
    if given is not None:
        given, known = model.image_spec.check_completion(given, known, num)
    example_seeds = tf.constant(_checked_example_seeds(example_seeds, num), tf.int32)
    found = num, condition, seed, options, given, known, example_seeds
    return Request(*found, bool(jit), method=method)


def _checked_options(
    model, temperature=1.0, reduce_log_scale=0.0, most_probable=False, top_k=0, top_p=1.0
):
    numbers = {"temperature": temperature, "reduce_log_scale": reduce_log_scale, "top_p": top_p}
    for name, value in numbers.items():
        if np.ndim(value) or np.asarray(value).dtype.kind not in "iuf":
            raise ValueError(f"{name} must be a number, got {value!r}.")
    if not LEAST_TEMPERATURE <= float(temperature) <= MOST_TEMPERATURE:
        allowed = f"{LEAST_TEMPERATURE:g}…{MOST_TEMPERATURE:g}"
        raise ValueError(f"temperature must be {allowed}, got {temperature}.")
    if not 0 <= float(reduce_log_scale) <= MOST_REDUCTION:
        allowed = f"0…{MOST_REDUCTION:g}"
        raise ValueError(f"reduce_log_scale must be {allowed}, got {reduce_log_scale}.")
    if not isinstance(most_probable, bool | np.bool_):
        raise ValueError(f"most_probable must be True or False, got {most_probable!r}.")
    if (reduce_log_scale or most_probable) and not model.draws_logistics:
        raise ValueError(
            "reduce_log_scale and most_probable are for models that draw from logistics "
            "(likelihood 'logistic' or 'mixture'), not from an export."
        )
    top_k = check_integer("top_k", top_k, 0)
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, got {top_p}.")
    if (top_k or top_p < 1) and not model.draws_categories:
        raise ValueError(
            "top_k and top_p are for models that draw from a softmax (likelihood 'categorical' "
            "or 'independent'), not from an export."
        )
    return SamplingOptions(
        tf.constant(temperature, tf.float32),
        tf.constant(reduce_log_scale, tf.float32) if reduce_log_scale else 0.0,
        bool(most_probable),
        top_k,
        tf.constant(top_p, tf.float32) if top_p < 1 else 1.0,
    )


def _checked_example_seeds(example_seeds, num):
    example_seeds = np.asarray(as_array("example_seeds", example_seeds))
    if example_seeds.dtype.kind not in "iu" or example_seeds.shape not in ((), (num,)):
        raise ValueError(
            f"example_seeds must be an integer or integers of shape [{num}], got "
            f"{example_seeds.dtype.name} of shape {list(example_seeds.shape)}."
        )
    limits = np.iinfo(np.int32)
    least, most = int(example_seeds.min()), int(example_seeds.max())
    if example_seeds.ndim == 0:
        most += num - 1
    if least < limits.min or most > limits.max:
        raise ValueError(f"example_seeds must be {limits.min}…{limits.max}, got {least}…{most}.")
    return example_seeds.astype(np.int32) + (np.arange(num) if example_seeds.ndim == 0 else 0)
