"""Protocols of what only some models can do; TensorFlow is not imported."""

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

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

    It has its attributes, too: prior, conditional, transform, stages, untrained.
    """

    def take_prior(self, other: Any) -> None:
        """Takes the prior of another model."""


@runtime_checkable
class Reconstructs(Protocol):
    """One reconstruction of every image; see `MSEAutoencoder`."""

    def reconstruct(self, images: "Array") -> "np.ndarray":
        """Returns the reconstructions of images from their codes."""
