"""Public methods of a density model, whether it is a Keras model or an exported SavedModel.

The public methods check their arguments, here and nowhere else, and run one hook each in a graph:

    log_prob, log_prob_terms   log_prob_terms_of
    value_log_prob             value_log_prob_of
    sample, sample_stages      draw
"""

import abc
import functools
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from gated_pixelcnn.errors import UserError
from gated_pixelcnn.limits import LEAST_TEMPERATURE, MOST_TEMPERATURE
from gated_pixelcnn.models.capabilities import Reconstructs
from gated_pixelcnn.sampling import METHODS, SamplingOptions
from gated_pixelcnn.spec import Array, ImageSpec, Inputs, as_array, check_integer


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


def check_density_model(model):
    """Raises a UserError for a model that has no images to give."""
    if isinstance(model, DensityModel):
        return
    if isinstance(model, Reconstructs):
        raise UserError(
            "this run is of an autoencoder trained for the squared error, which has no images to "
            "draw and no probabilities to serve; sample.py --reconstruct shows what it makes of "
            "images beside a PixelCNN autoencoder, if that is the --workdir and this run is given "
            "by --beside"
        )
    raise UserError(
        "this run is of an embedding, which has no images to draw and no probabilities to serve; "
        "condition a model on it (train.encoder) and give that model's --workdir"
    )


def check_seed(seed):
    """A seed as int64, or the ValueError that says why it is none; a tensor in a graph stays."""
    if tf.is_symbolic_tensor(seed) and seed.dtype.is_integer:
        return seed
    return tf.constant(check_integer("seed", seed, tf.int64.min, tf.int64.max), tf.int64)


class DensityModel(Inputs):
    """Log-probabilities and samples of images.

    Attributes:
      image_spec, condition_spec: what it takes, see `spec`.
      is_lower_bound: whether `log_prob` is a lower bound and not exact.
      completes: whether `sample` takes images to complete.
      terms: names of the terms of a lower bound; None for an exact log-probability.
      trained_term: the one of the terms that is trained; "" for all.
      untrained: the part that nobody has trained, as in "prior"; "" if none is.
      draws_rows: whether `sample` can draw the pixels of a row at once.
      draws_logistics: whether `sample` can reduce their scales.
      draws_categories: whether `sample` can leave out their least probable values.
    """

    is_lower_bound = False
    completes = True
    terms: tuple[str, ...] | None = None
    untrained = ""
    trained_term = ""
    draws_rows = False
    draws_logistics = False
    draws_categories = False

    # The hooks: their arguments were checked, and they run in a graph.

    @abc.abstractmethod
    def log_prob_terms_of(
        self, images: Array, condition: Array | None = None, training: bool = False
    ) -> tf.Tensor:
        """Log-probability of images as terms.

        Args:
          images: integers 0…levels−1 [N, H, W, C].
          condition: what the model is conditioned on, or None.
          training: whether dropout and the like are on.

        Returns:
          Nats, float64 [N, P]: sums of thousands of values.
        """

    def value_log_prob_of(
        self, images: Array, condition: Array | None = None, training: bool = False
    ) -> tf.Tensor:
        """Log-probability of every value, nats [N, H, W, C], of a model that is exact."""
        raise ValueError(
            "log_prob of this model is a lower bound: single values have no log-probability; see "
            "log_prob_terms."
        )

    @abc.abstractmethod
    def draw(self, request: Request) -> list[tf.Tensor]:
        """Draws a `Request`.

        Returns:
          A list of integers [N, h, w, C]: all `stages`, the images last.
        """

    def _run(self, hook):
        """A hook as a graph, traced once for any number of images that it can be."""
        return self._graphs[hook]

    @functools.cached_property
    def _graphs(self):
        retraced = {"reduce_retracing": True, "autograph": False}
        hooks = {"log_prob_terms_of": retraced, "value_log_prob_of": retraced}
        hooks["draw"] = {"autograph": False}  # faster where the number of images is known
        return {name: tf.function(getattr(self, name), **how) for name, how in hooks.items()}

    # The public methods.

    @property
    def stages(self) -> list[ImageSpec]:
        """The ImageSpec of all that is drawn for an image, the image last."""
        return [self.image_spec]

    def value_log_prob(self, images: Array, condition: Array | None = None) -> tf.Tensor:
        """Log-probability of every value given those before it.

        Args:
          images: integers 0…levels−1 [N, H, W, C].
          condition: what the model is conditioned on, or None.

        Returns:
          Nats [N, H, W, C], at most 0; their sum over an image is `log_prob`.

        Raises:
          ValueError: images or a condition that do not fit the model, or a model whose `log_prob`
            is a lower bound.
        """
        nats = self._run("value_log_prob_of")(*self.checked(images, condition))
        return self.nan_if_unchecked(nats, images, condition)

    def log_prob_terms(self, images: Array, condition: Array | None = None) -> tf.Tensor:
        """Log-probability of images as terms that add up to it.

        Args:
          images: integers 0…levels−1 [N, H, W, C].
          condition: what the model is conditioned on, or None.

        Returns:
          Nats, float64 [N, P]: of every colour given the ones before it, P = C; of a lower bound
          its `terms`.

        Raises:
          ValueError: images or a condition that do not fit the model.
        """
        nats = self._run("log_prob_terms_of")(*self.checked(images, condition))
        return self.nan_if_unchecked(nats, images, condition)

    @staticmethod
    def _checked_example_seeds(example_seeds, num):
        example_seeds = as_array("example_seeds", example_seeds)
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
            raise ValueError(
                f"example_seeds must be {limits.min}…{limits.max}, got {least}…{most}."
            )
        return example_seeds.astype(np.int32) + (np.arange(num) if example_seeds.ndim == 0 else 0)

    def log_prob(self, images: Array, condition: Array | None = None) -> tf.Tensor:
        """Log-probability of images, exact unless `is_lower_bound`.

        Args:
          images: integers 0…levels−1 [N, H, W, C].
          condition: what the model is conditioned on, or None.

        Returns:
          Nats [N].

        Raises:
          ValueError: images or a condition that do not fit the model.
        """
        terms = self.log_prob_terms(images, condition)
        return tf.cast(tf.reduce_sum(terms, axis=1), tf.float32)

    def sample(
        self,
        num: int | None = None,
        condition: Array | None = None,
        seed: int | Array = 0,
        temperature: float = 1.0,
        given: Array | None = None,
        known: Array | None = None,
        example_seeds: int | Array = 0,
        jit: bool = True,
        method: str = "pixels",
        reduce_log_scale: float = 0.0,
        most_probable: bool = False,
        top_k: int = 0,
        top_p: float = 1.0,
    ) -> tf.Tensor:
        """Draws images, or completes given ones, at the cost of one or two forward passes.

        Args:
          num: number of images; may be left out where `condition` or `given` tells it.
          condition: what the model is conditioned on, one for every image, or None. Labels may be
            given by name, see `class_names`: "bag" (for all images; one, if num is left out), or
            ["bag", "coat"].
          seed: integer; the same seed gives the same images.
          temperature: 1e-6…1e6; below 1 draws more probable values, 1 is the model itself.
          given: integers [N, H, W, C] or [1, H, W, C] of which some values are kept.
          known: booleans that broadcast to [N, H, W, C]; True keeps `given`. Values are
            drawn in the order (row, column, colour), each from its distribution given those before
            it: what is known after a value, below it or at its right, has no influence on it. Where
            that matters draw several completions and choose among them by their weights, the sums
            of `value_log_prob` over the known values: the more are drawn, the nearer the choice is
            to a draw from p(unknown | known).
          example_seeds: integers [N]: the random numbers of image i are a function of (seed,
            example_seeds[i]), whatever the batch that it is drawn in; images with the same example
            seed have the same ones. An integer is that of the first image; the others count on.
          jit: whether XLA compiles: faster, after some seconds of compilation for every number of
            images (on a CPU not for hundreds of images at once, see docs/results.md). Sums are
            rounded differently, so a model in half precision draws other images with it than
            without.
          method: "pixels" draws one pixel after the other; "rows" all pixels of a row at once,
            again and again until none changes. That gives the same images (but where a sum is
            rounded to the other side of a boundary) in fewer steps one after the other, each of
            which is more work: for GPUs. Not of Diagonal BiLSTM, whose pixels see all columns of
            the rows above through those that come before.
          reduce_log_scale: at least 0; with logistics, what is subtracted from their log-scales.
          most_probable: with logistics, whether only their component is drawn and the value is its
            mode.
          top_k: with a softmax, each value is drawn from the k most probable ones (and those as
            probable as the last of them); 0: from all.
          top_p: above 0, at most 1; with a softmax, each value is drawn from the fewest most
            probable ones that have this probability together. First comes the temperature, then
            top_k, then top_p; `log_prob` is always that of the model itself.

        Returns:
          Integers [N, H, W, C]: uint8, or uint16 above 256 levels.

        Raises:
          ValueError: arguments that do not fit the model or each other; images to complete, for a
            model whose `log_prob` is a lower bound.
        """
        how = {"temperature": temperature, "seed": seed, "example_seeds": example_seeds, "jit": jit}
        how |= {
            "method": method,
            "reduce_log_scale": reduce_log_scale,
            "most_probable": most_probable,
        }
        how |= {"top_k": top_k, "top_p": top_p}
        return self.sample_stages(num, condition, given=given, known=known, **how)[-1]

    def sample_stages(
        self,
        num: int | None = None,
        condition: Array | None = None,
        stage: Array | None = None,
        **how: Any,
    ) -> list[tf.Tensor]:
        """Draws images, and keeps what they were drawn from.

        Args:
          num: see `sample`; may also be left out where `stage` tells it.
          condition: see `sample`.
          stage: one of the `stages` but the last, an entry for each image, or what the first one is
            made from: it is taken and not drawn. See `check_stage` of the family.
          **how: other arguments of `sample`.

        Returns:
          List of integers [N, h, w, C]: what was drawn or given, the simplest first, then the
            images.

        Raises:
          ValueError: see `sample`; a stage that does not fit the model.
        """
        if stage is not None:
            stage = self.check_stage(stage)
            num = len(stage) if num is None else num
            if num != len(stage):
                raise ValueError(
                    f"stage must have one entry for each of {num} images, got {len(stage)}."
                )
        return self._run("draw")(self._request(num, condition, **how)._replace(stage=stage))

    def check_stage(self, stage: Array) -> tf.Tensor:
        """A stage as a tensor, or the ValueError that says why it is none."""
        raise ValueError("this model draws an image in one stage: leave out stage.")

    def _request(
        self,
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
        """The `Request` for the arguments of `sample`, which are checked."""
        self.prepare()
        if (given is None) != (known is None):
            raise ValueError("given and known go together: the images and which values to keep.")
        if given is not None and not self.completes:
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
        condition = self.condition_spec.numbered(condition, num)
        seed = check_seed(seed)
        if not isinstance(jit, bool | np.bool_):
            raise ValueError(f"jit must be True or False, got {jit!r}.")
        if method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}.")
        if method == "rows" and not self.draws_rows:
            raise ValueError(
                "method='rows' is for models whose pixels of a row can be run at once: not for "
                "diagonal_bilstm, latent variables or an export."
            )
        options = self._checked_options(**options)
        condition = self.condition_spec.check(condition, num)
        if given is not None:
            given, known = self.image_spec.check_completion(given, known, num)
        example_seeds = self._checked_example_seeds(example_seeds, num)
        example_seeds = tf.constant(example_seeds, tf.int32)
        request = Request(num, condition, seed, options, given, known, example_seeds, jit)
        return request._replace(method=method)

    def _checked_options(
        self, temperature=1.0, reduce_log_scale=0.0, most_probable=False, top_k=0, top_p=1.0
    ):
        numbers = {"temperature": temperature, "reduce_log_scale": reduce_log_scale, "top_p": top_p}
        for name, value in numbers.items():
            if np.ndim(value) or np.asarray(value).dtype.kind not in "iuf":
                raise ValueError(f"{name} must be a number, got {value!r}.")
        if not LEAST_TEMPERATURE <= temperature <= MOST_TEMPERATURE:
            allowed = f"{LEAST_TEMPERATURE:g}…{MOST_TEMPERATURE:g}"
            raise ValueError(f"temperature must be {allowed}, got {temperature}.")
        if not 0 <= reduce_log_scale < np.inf:
            raise ValueError(f"reduce_log_scale must be at least 0, got {reduce_log_scale}.")
        if not isinstance(most_probable, bool | np.bool_):
            raise ValueError(f"most_probable must be True or False, got {most_probable!r}.")
        if (reduce_log_scale or most_probable) and not self.draws_logistics:
            raise ValueError(
                "reduce_log_scale and most_probable are for models that draw from logistics "
                "(likelihood 'logistic' or 'mixture'), not from an export."
            )
        top_k = check_integer("top_k", top_k, 0)
        if not 0 < top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {top_p}.")
        if (top_k or top_p < 1) and not self.draws_categories:
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
