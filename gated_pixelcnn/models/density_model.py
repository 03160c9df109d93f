"""Public methods of a density model, whether it is a Keras model or an exported SavedModel.

The public methods check their arguments, those of samples by `request`, and run one hook each in a
graph:

    log_prob, log_prob_terms   log_prob_terms_of
    value_log_prob             value_log_prob_of
    sample, sample_stages      draw
"""

import abc
import functools
from typing import Any

import tensorflow as tf

from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.capabilities import Reconstructs
from gated_pixelcnn.models.request import Request, checked_request
from gated_pixelcnn.sampling import compiled_num
from gated_pixelcnn.spec import Array, ImageSpec, Inputs


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


class DensityModel(Inputs):
    """Log-probabilities and samples of images.

    Attributes:
      image_spec, condition_spec: what it takes, see `spec`.
      is_lower_bound: whether `log_prob` is a lower bound and not exact.
      completes: whether `sample` takes images to complete.
      terms: names of the terms of a lower bound; None for an exact log-probability.
      trained_term: the one of the terms that is trained; "" for all.
      untrained: the part that nobody has trained, as in "prior"; "" if none is.
      methods: those of `limits.METHODS` that `sample` can draw by.
      draws_logistics: whether `sample` can reduce their scales.
      draws_categories: whether `sample` can leave out their least probable values.
    """

    is_lower_bound = False
    completes = True
    terms: tuple[str, ...] | None = None
    untrained = ""
    trained_term = ""
    methods = ("pixels",)
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
        graphs = {name: tf.function(getattr(self, name), **how) for name, how in hooks.items()}
        # Faster where the number of images is known.
        draw = tf.function(self.draw, autograph=False)

        def draw_padded(request):
            num = compiled_num(request.num)
            if num == request.num:
                return draw(request)
            return [x[: request.num] for x in draw(request.padded(num))]

        return graphs | {"draw": lambda x: draw_padded(x) if x.jit else draw(x)}

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
        """Draws images, or completes given ones; a batch costs a CPU about two forward passes.

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
          jit: whether XLA compiles: faster, after some seconds of compilation. It compiles for few
            numbers of images and takes the next one, see docs/sampling.md. Sums are rounded
            differently, so a model in half precision draws other images with it than without.
          method: "pixels" draws one pixel after the other; "rows" all pixels of a row at once,
            again and again until none changes; "image" all of the image. That gives the same images
            (but where a sum is rounded to the other side of a boundary, which half precision often
            does) in fewer steps one after the other, each of which is more work: for GPUs. Rows are
            not of Diagonal BiLSTM, whose pixels see all columns of the rows above through those
            that come before; pixels that are independent are all drawn at once anyway.
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
            model that completes none (`completes`).
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
            made from: it is taken and not drawn, also where values of it are `known`. See
            `check_stage` of the family.
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
        request = checked_request(self, num, condition, **how)
        return self._run("draw")(request._replace(stage=stage))

    def check_stage(self, stage: Array) -> tf.Tensor:
        """A stage as a tensor, or the ValueError that says why it is none."""
        raise ValueError("this model draws an image in one stage: leave out stage.")
