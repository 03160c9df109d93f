"""Protocols of what only some models can do; TensorFlow is not imported."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class HasLatents(Protocol):
    """Latent variables z that can be inferred, drawn and given; see `LatentVariableModel`."""

    def encode_latents(self, images, draw=0):
        """Draws z from the posterior of images."""

    def draw_latents(self, seed, example_seeds):
        """Draws z from the prior."""

    def show_latents(self, latents):
        """Returns f(z) as an image."""


@runtime_checkable
class HasPrior(Protocol):
    """A prior of views of the images, which is a model, too; see `AuxiliaryModel`.

    It has its attributes, too: prior, conditional, transform, stages, untrained.
    """

    def take_prior(self, other):
        """Takes the prior of another model."""


@runtime_checkable
class Reconstructs(Protocol):
    """One reconstruction of every image; see `MSEAutoencoder`."""

    def reconstruct(self, images):
        """Returns the reconstructions of images from their codes."""
