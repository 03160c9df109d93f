"""Protocols of what only some models can do; TensorFlow is not imported."""

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from gated_pixelcnn.spec import Array


@runtime_checkable
class HasLatents(Protocol):
    """Latent variables z that can be inferred, drawn and given; see `LatentVariableModel`."""

    def encode_latents(self, images: "Array", draw: int = 0) -> "tf.Tensor":
        """Draws z from the posterior of images."""

    def draw_latents(self, seed: "int | Array", example_seeds: "int | Array") -> "tf.Tensor":
        """Draws z from the prior."""

    def show_latents(self, latents: "Array") -> "tf.Tensor":
        """Returns f(z) as an image."""


@runtime_checkable
class HasPrior(Protocol):
    """A prior of views of the images, which is a model, too; see `AuxiliaryModel`.

    It has its attributes, too: prior, conditional, stages, untrained.
    """

    def take_prior(self, other: Any) -> None:
        """Takes the prior of another model."""


@runtime_checkable
class HasViews(HasPrior, Protocol):
    """The prior is of what a transform makes of images; see `AuxiliaryModel`.

    Attributes:
      transform: such as `transforms.Half`.
    """

    transform: Any


@runtime_checkable
class Reconstructs(Protocol):
    """One reconstruction of every image; see `MSEAutoencoder`."""

    def reconstruct(self, images: "Array") -> "np.ndarray":
        """Returns the reconstructions of images from their codes."""


@runtime_checkable
class HasCodes(Protocol):
    """Discrete codes of images, entries of a codebook; see `VQVAE`.

    Attributes:
      codes: K, how many entries there are.
      codes_shape: of the codes of an image, see `CodeModel`.
      code_sums: see `VQVAE.code_sums`.
    """

    codes: int
    codes_shape: tuple
    code_sums: Any

    def encode(self, images: "Array") -> "tf.Tensor":
        """Returns the codes of images, int32 [N, *codes_shape]."""

    def decode(self, codes: "Array") -> "tf.Tensor":
        """Returns an image for the codes of each."""

    def vectors_of(self, codes: "Array") -> "list[tf.Tensor]":
        """Returns the entries of codes, [N, h, w, D] of every map."""

    def fingerprint(self) -> str:
        """Returns a checksum of all that codes depend on, and what is made of them."""


def tokenizer_of(model: HasCodes) -> HasCodes:
    """The model that makes codes of images and images of codes: itself, or that of a prior."""
    return model.tokenizer if model.trains_on_codes else model


class Part(NamedTuple):
    """The place of a part of a batch.

    Attributes:
      step: number of steps made before, int64.
      first: number of images of the batch before those of this part.
      total: number of images in the batch.
    """

    step: "tf.Tensor"
    first: "int | tf.Tensor"
    total: "int | tf.Tensor"


@runtime_checkable
class LearnsByAverages(Protocol):
    """Weights that are moving averages over batches, and have no gradient; see `VQVAE`.

    A step adds up the sums of the parts of its batch, on one device and on several, as it does
    gradients.

    Attributes:
      sum_shapes: of all sums.
    """

    sum_shapes: list

    def training_loss_and_sums_of(
        self, images: "Array", condition: "Array | None", part: Part
    ) -> "tuple[tf.Tensor, list]":
        """Returns the `training_loss_of` images [N], and sums over them of `sum_shapes`."""

    def take_sums(self, sums: list, when: "bool | tf.Tensor" = True) -> None:
        """Moves the averages by the sums of a whole batch, if `when` is true."""


def training_loss_and_sums(
    model: Any, images: "Array", condition: "Array | None", part: Part
) -> "tuple[tf.Tensor, list]":
    """The loss of each image [N] in training, and sums for `take_sums`: [] where it has none."""
    if isinstance(model, LearnsByAverages):
        return model.training_loss_and_sums_of(images, condition, part)
    return model.training_loss_of(images, condition, training=True), []
