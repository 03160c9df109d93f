"""A prior of the codes of images: with the tokenizer that made them, a model of images.

Source: "Neural Discrete Representation Learning" (van den Oord et al., 2017), section 3.3: when the
VQ-VAE is trained, its uniform prior gives way to a PixelCNN of the codes c, which is trained alone,

    log p(x) ≥ log p(x | c) + log p(c),   c the codes of x,

and images are drawn by drawing codes, then pixels given these. A label, a vector or maps condition
the prior. Codes are categories: their numbers say nothing, see `layers.Categories`.
"""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from gated_pixelcnn.models.code_model import FAR
from gated_pixelcnn.models.composite import make_submodel
from gated_pixelcnn.models.likelihood_model import LikelihoodModel
from gated_pixelcnn.models.registry import FAMILIES, register
from gated_pixelcnn.models.request import Request
from gated_pixelcnn.models.trainable import check_family, take_layers
from gated_pixelcnn.spec import CATEGORICAL, Array, ImageSpec, Shape, condition_spec, kind_of_images


@register("vq_prior")
class VQPrior(LikelihoodModel):
    """A tokenizer, which stays as it is, and a prior of its codes, which is trained on them.

    Attributes:
      tokenizer: the `VQVAE`.
      prior: the autoregressive model of codes as images, [N, h, w, 1] or, of two maps,
        [N, h, w, 5]; with the condition of this one.
    """

    is_lower_bound = True
    completes = True
    terms = ("image given codes", "codes")
    loss_name, loss_unit = "bits_per_code", "bits/code"
    trains_on_codes = True

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 256,
        tokenizer: dict = {"family": "vq_vae"},  # noqa: B006 (it is not changed)
        prior: dict = {"family": "gated_pixelcnn"},  # noqa: B006
        condition: str | None = None,
        condition_size: int = 0,
        condition_names: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        """Makes the model.

        Args:
          image_shape: (H, W, C) of the images.
          levels: number of values per colour, 2…65,536.
          tokenizer: family and arguments of the tokenizer; `train` takes those of a run, whose
            weights it has (train.tokenizer).
          prior: family of the prior and its arguments, without its condition. Its values are
            categorical, and so is its likelihood. Of two maps of codes it is "code_hierarchy".
          condition: None, "label" or "vector", of the prior.
          condition_size: number of classes or length of the vector.
          condition_names: names of the classes in the order of the labels, or of the entries of
            the vector, if they are known.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(**kwargs)
        if condition not in (None, "label", "vector"):
            raise ValueError(
                f"condition of a prior of codes must be None, 'label' or 'vector', got "
                f"{condition!r}."
            )
        self.image_spec = ImageSpec(image_shape, levels)
        self.condition_spec = condition_spec(
            condition, condition_size, self.image_spec, condition_names
        )
        tokenizer = dict(tokenizer)
        family = tokenizer.pop("family", None)
        if family != "vq_vae":
            raise ValueError(f"family of the tokenizer must be 'vq_vae', got {family!r}.")
        try:
            self.tokenizer = FAMILIES[family](
                image_shape=self.image_shape,
                levels=levels,
                name="tokenizer",
                dtype=self.variable_dtype,  # in half precision it would give other codes
                **tokenizer,
            )
        except (ValueError, TypeError) as error:
            raise ValueError(f"tokenizer: {error}") from error
        self.tokenizer.trainable = False
        self.prior = make_submodel(
            prior,
            "prior",
            note=" (of two maps of codes, as vq_prior2 has it)" if self.tokenizer.top else "",
            image_shape=self.tokenizer.code_image_shape,
            levels=self.tokenizer.codes,
            values=CATEGORICAL,
            condition=condition,
            condition_size=condition_size,
            dtype=self.dtype_policy,
        )
        if self.prior.train_only:
            raise ValueError(
                f"train_only of a prior of codes must be '', got {self.prior.train_only!r}: of two "
                "maps it is trained whole."
            )

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights; `input_shape` is ignored, Keras passes it."""
        self.tokenizer.build((None, *self.image_shape))
        self.prior.build((None, *self.prior.image_shape))
        self.built = True

    # Codes, see `capabilities.HasCodes`.

    @property
    def codes(self) -> int:
        """K, see `CodeModel`."""
        return self.tokenizer.codes

    @property
    def codes_shape(self) -> Shape:
        """See `CodeModel`."""
        return self.tokenizer.codes_shape

    def encode(self, images: Array) -> tf.Tensor:
        """The codes of images, see `VQVAE.encode`."""
        self.prepare()
        return self.tokenizer.encode(images)

    def decode(self, codes: Array, **how: Any) -> tf.Tensor:
        """Images of codes, see `VQVAE.decode`."""
        self.prepare()
        return self.tokenizer.decode(codes, **how)

    def as_images(self, codes: Array) -> tf.Tensor:
        """Codes as images of the prior, whose values they are."""
        return tf.reshape(codes, [-1, *self.prior.image_shape])

    def vectors_of(self, codes: Array) -> list[tf.Tensor]:
        """See `VQVAE.vectors_of`."""
        return self.tokenizer.vectors_of(codes)

    def fingerprint(self) -> str:
        """That of the tokenizer, see `VQVAE.fingerprint`."""
        return self.tokenizer.fingerprint()

    @property
    def code_sums(self) -> Any:
        """See `VQVAE.code_sums`."""
        return self.tokenizer.code_sums

    # The bound.

    def call(
        self, images: Array, condition: Array | None = None, training: bool = False
    ) -> tf.Tensor:
        """The terms of the bound, see `log_prob_terms_of`; checked as by an exact model."""
        return self.log_prob_terms_of(*self.checked(images, condition), training)

    def log_prob_terms_of(
        self, images: Array, condition: Array | None = None, training: bool = False
    ) -> tf.Tensor:
        """See `LikelihoodModel`: log p(x | c) and log p(c), nats float64 [N, 2]."""
        codes, of_image = self.tokenizer.codes_and_log_prob_of(images)
        of_codes = self.prior.log_prob_terms_of(self.as_images(codes), condition, training)
        return tf.stack([of_image, tf.reduce_sum(of_codes, axis=1)], axis=1)

    # Training, on codes.

    @property
    def initialised_by_data(self) -> bool:
        """See `Trainable`."""
        return self.prior.initialised_by_data

    @property
    def remat(self) -> bool:
        """See `Trainable`."""
        return self.prior.remat

    @remat.setter
    def remat(self, value: bool) -> None:
        self.prior.remat = value

    def initialise(self, images: Array, labels: Array | None = None, but: Sequence = ()) -> None:
        """See `Trainable`: the prior's, by the codes of images."""
        self.prior.initialise(self.as_images(self.encode(images)), labels, but)

    def checked_batch(self, images: Array, labels: Array | None = None) -> tuple:
        """See `Trainable`: codes as images, which are computed once, or images."""
        if tuple(images.shape[1:]) != self.prior.image_shape:
            images = self.as_images(self.tokenizer.encode_of(self.checked_images(images)))
        return self.prior.checked(images, labels)

    def training_loss_of(self, images: Array, condition: Array | None, training: bool) -> tf.Tensor:
        """Bits of a code [N], given codes as images."""
        nats = tf.reduce_sum(self.prior.log_prob_terms_of(images, condition, training), axis=1)
        bits = -nats / (math.prod(self.codes_shape) * math.log(2))
        return tf.cast(bits, tf.float32)

    def take_weights(self, other: Any) -> list:
        """See `Trainable`: those of the prior."""
        check_family(self, other)
        return take_layers([self.prior], [other.prior])

    def take_tokenizer(self, other: Any) -> None:
        """Takes the weights of a tokenizer of the same architecture.

        Raises:
          ValueError: it is another one, or one of other images.
        """
        check_family(self.tokenizer, other)
        own, found = (kind_of_images(x.image_shape, x.levels) for x in (self, other))
        if own != found:
            raise ValueError(f"its images are {found}, not {own}.")
        self.tokenizer.set_weights(other.get_weights())

    # Samples.

    @property
    def methods(self) -> tuple[str, ...]:
        """See `DensityModel`: of codes."""
        return self.prior.methods

    @property
    def draws_logistics(self) -> bool:
        """See `DensityModel`: in the pixels given codes."""
        return self.tokenizer.draws_logistics

    @property
    def draws_categories(self) -> bool:
        """See `DensityModel`: in the codes, of which the least probable ones are left out."""
        return True

    @property
    def stages(self) -> list[ImageSpec]:
        """See `DensityModel`: the most probable image given the codes, then the image."""
        return self.tokenizer.stages

    def check_stage(self, codes: Array) -> tf.Tensor:
        """See `DensityModel.sample_stages`: codes of each image, integers 0…K−1."""
        return self.tokenizer.check_stage(codes)

    def draw(self, request: Request) -> list[tf.Tensor]:
        """See `DensityModel`: the most probable images given the codes, and drawn ones.

        Of images to complete, those codes are kept all of whose pixels are known; of the others the
        prior draws those that come after them, as it does those of a whole image. What is known of
        the image is put in the place of what was drawn.
        """
        codes, given, known = request.stage, request.given, request.known
        if codes is None:
            codes = self.draw_codes(request)
        options = request.options._replace(top_k=0, top_p=1.0)
        plain = request._replace(
            stage=codes, given=None, known=None, condition=None, options=options
        )
        images = self.tokenizer.draw(plain)
        return images if given is None else [tf.where(known, given, x) for x in images]

    def draw_codes(self, request: Request) -> tf.Tensor:
        """Codes from the prior, int32 [N, *codes_shape]."""
        options = request.options._replace(reduce_log_scale=0.0, most_probable=False)
        example_seeds = tf.cast(request.example_seeds, tf.int64) + FAR
        request = request._replace(options=options, example_seeds=example_seeds)
        if request.given is not None:
            given = tf.cast(self.tokenizer.encode_of(request.given), self.prior.image_spec.dtype)
            known = self.tokenizer.known_codes(request.known)
            request = request._replace(given=self.as_images(given), known=self.as_images(known))
        codes = tf.reshape(self.prior.draw(request)[-1], [-1, *self.codes_shape])
        return tf.cast(codes, tf.int32)
