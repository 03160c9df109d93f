"""VQ-VAE: an image as a map of discrete codes, and pixels independent of each other given them.

Source: "Neural Discrete Representation Learning" (van den Oord et al., 2017). With the encoder's
vectors z, their codes c (`layers.VectorQuantizer`) and sg for "no gradient",

    objective = log p(x | c) + log p(c) − β‖z − sg[e_c]‖²

The codes of an image are a function of it, so log p(x) ≥ log p(x | c) + log p(c): a lower bound,
which is what is reported; the commitment to the codebook is of training only. As long as no prior
of codes is trained, p(c) is uniform: log K nats for each code.

With two maps of codes, a top map tells what is far apart, and a bottom map the rest ("Generating
Diverse High-Fidelity Images with VQ-VAE-2", Razavi et al., 2019, section 3.1), see `layers.TopMap`.

Deviations from the paper:
- log p(x | c) is that of one of `likelihoods` by pixel, by default a discretized logistic, whose
  mean and scale the decoder gives; the paper has the squared error, which is no probability of an
  image of integers;
- the squared norm is the mean over all numbers of z, times the number of values of an image, as
  in the authors' code, whose other term is a mean over these;
- dead codes begin anew, see `layers.VectorQuantizer`.
"""

import functools
import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from gated_pixelcnn import likelihoods
from gated_pixelcnn.layers import CodeDecoder, CodeEncoder, TopMap, VectorQuantizer, ops
from gated_pixelcnn.models.capabilities import Part
from gated_pixelcnn.models.code_model import CodeModel
from gated_pixelcnn.models.registry import register
from gated_pixelcnn.spec import (
    Array,
    ConditionSpec,
    ImageSpec,
    Shape,
    bits_per_dim,
    check_integer,
)


@register("vq_vae")
class VQVAE(CodeModel):
    """Images [N, H, W, C] → codes 0…K−1 [N, h, w] → images.

    Codes of two maps are one array [N, h, w, 5], h×w those of the top map, see `pack_codes`.

    Attributes:
      codes: K, the number of entries of the codebook, or of each of two.
      codes_shape: (h, w), or (h, w, 5) of two maps.
      map_sizes: (h, w) of every map, the top map first.
      code_encoder, quantizer, code_decoder: the layers; `quantizer` is that of the bottom map.
      top: the layers of a top map, or None.
      likelihood: the `likelihoods.Likelihood` of a pixel.
    """

    loss_name = "objective"

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 256,
        codes: int = 512,
        code_features: int = 64,
        features: int = 128,
        blocks: int = 2,
        block_features: int = 32,
        halvings: int = 2,
        maps: int = 1,
        decay: float = 0.99,
        commitment: float = 0.25,
        restart_below: float = 0.03,
        likelihood: str = "logistic",
        components: int = 10,
        condition_size: int = 0,
        **kwargs: Any,
    ) -> None:
        """Makes the model.

        Args:
          image_shape: (H, W, C) of the images.
          levels: number of values per colour, 2…65,536.
          codes: K, the number of entries of the codebook, or of each of two.
          code_features: D, the numbers of an entry.
          features: maps of the encoder and of the decoder.
          blocks: number of residual blocks of each.
          block_features: maps inside of a block.
          halvings: there are H / 2^halvings rows and W / 2^halvings columns of codes.
          maps: 2: with a top map of half as many rows and columns, and a codebook of its own.
          decay: γ of the moving averages that train the codebook.
          commitment: β.
          restart_below: see `layers.VectorQuantizer`.
          likelihood: of a pixel given the codes: "logistic", "mixture", "bernoulli", "independent"
            or "categorical" (the same, as the decoder sees no colours).
          components: number of components of a mixture.
          condition_size: 0, as there is no condition.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(**kwargs)
        if condition_size:
            raise ValueError(f"this family takes no condition, got condition_size={condition_size}")
        if not 0 <= commitment < math.inf:
            raise ValueError(f"commitment must be at least 0 and finite, got {commitment}.")
        self.image_spec = ImageSpec(image_shape, levels)
        self.condition_spec = ConditionSpec(0, self.image_spec)
        height, width, channels = self.image_shape
        check_integer("halvings", halvings, 1)
        check_integer("maps", maps, 1, 2)
        most = halvings + maps - 1
        if height % 2**most or width % 2**most:
            raise ValueError(
                f"images of {height}x{width} (height x width) cannot be halved {most} times; "
                "set fewer halvings, or bring images to another size by data.image_size."
            )
        self.codes = codes
        self.map_sizes = [(height >> n, width >> n) for n in range(most, halvings - 1, -1)]
        self.codes_shape = self.map_sizes[0] if maps == 1 else (*self.map_sizes[0], 5)
        self.commitment = commitment
        self.likelihood = likelihoods.get(likelihood, channels, levels, components)
        own = {"dtype": self.dtype_policy}
        networks = (features, blocks, block_features)
        codebook = (codes, code_features)
        self.top = None
        if maps == 2:
            self.top = TopMap(*codebook, *networks, decay, restart_below, name="top", **own)
        self.quantizer = VectorQuantizer(
            *codebook, decay, restart_below, name="quantizer", dtype=self.variable_dtype
        )
        self.code_encoder = CodeEncoder(
            code_features,
            *networks,
            halvings,
            others=0 if self.top is None else code_features,
            name="encoder",
            **own,
        )
        self.code_decoder = CodeDecoder(
            self.likelihood.parameters_per_pixel, *networks, halvings, name="decoder", **own
        )

    def compute_output_shape(self, input_shape: Any = None) -> Shape:
        """Returns the shape of the terms, for `summary`."""
        return (None, len(self.terms))

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights; `input_shape` is ignored, Keras passes it."""
        size, features = self.map_sizes[-1], self.quantizer.features
        self.code_encoder.build((None, *self.image_shape))
        if self.top is not None:
            self.top.build((None, *size, self.code_encoder.features))
        self.quantizer.build((None, *size, features))
        self.code_decoder.build((None, *size, len(self.map_sizes) * features))
        self.built = True

    # Maps of codes, the top map first.

    @property
    def quantizers(self) -> list[VectorQuantizer]:
        """That of every map."""
        return [self.quantizer] if self.top is None else [self.top.quantizer, self.quantizer]

    def split(self, codes: Array) -> list[tf.Tensor]:
        """The codes of every map, [N, h, w]."""
        return [codes] if self.top is None else list(ops.unpack_codes(codes, self.codes_shape))

    def joined(self, maps: list) -> tf.Tensor:
        """The way back from `split`; what is given need not be codes, but something of each."""
        return maps[0] if self.top is None else ops.pack_codes(*maps, self.codes_shape)

    def quantised(self, images: Array) -> list[tuple]:
        """Of every map the encoder's vectors z, what becomes of them, and codes; see `TopMap`."""
        maps, found = self.code_encoder.maps(self.scale(images)), []
        if self.top is not None:
            found.append(self.top(maps))
            maps = tf.concat([maps, self.top.decoder(found[0][1])], axis=-1)
        z = self.code_encoder.vectors(maps)
        return [*found, (z, *self.quantizer(z))]

    def known_codes(self, known: tf.Tensor) -> tf.Tensor:
        """Whether all pixels [N, H, W, C] of each code are known."""
        height, width, channels = self.image_shape
        maps = []
        for h, w in self.map_sizes:
            squares = tf.reshape(known, [-1, h, height // h, w, width // w, channels])
            maps.append(tf.reduce_all(squares, axis=[2, 4, 5]))
        return self.joined(maps)

    def vectors_of(self, codes: Array) -> list[tf.Tensor]:
        """The entries of the codebooks of codes: [N, h, w, D] of every map."""
        maps = zip(self.quantizers, self.split(codes), strict=True)
        return [quantizer.look_up(of_map) for quantizer, of_map in maps]

    def encode_of(self, images: Array) -> tf.Tensor:
        """`encode` without checks, for use inside a graph."""
        return self.joined([codes for _, _, codes in self.quantised(images)])

    def codes_and_log_prob_of(self, images: Array) -> tuple[tf.Tensor, tf.Tensor]:
        """Codes of images, and nats log p(x | c), float64 [N].

        The latter is NaN where the encoder gives no numbers: something is nearest to NaN, too.
        """
        maps = self.quantised(images)
        codes = self.joined([of_map for _, _, of_map in maps])
        nats = self.image_log_prob(images, codes)
        for z, _, _ in maps:
            is_number = tf.reduce_all(tf.math.is_finite(z), axis=[1, 2, 3])
            nats = tf.where(is_number, nats, np.nan)
        return codes, nats

    def parameters_given(self, codes: Array) -> tf.Tensor:
        """The parameter map of the likelihood given codes, see `Likelihood`."""
        return self._parameters(self.vectors_of(codes))

    def _parameters(self, vectors):
        *top, bottom = vectors
        maps = ops.concat([bottom, *map(self.top.enlarge, top)] if top else [bottom])
        return self.likelihood.parameters(self.code_decoder(maps))

    def fingerprint(self) -> str:
        """A checksum of all that codes depend on, and what is made of them: 16 hexadecimal digits.

        Codes that were kept are those of this model if it is the same. Averages that only training
        needs are not part of it.
        """
        self.prepare()
        sizes = (self.image_shape, self.levels, self.codes, self.likelihood)
        checksum = hashlib.blake2b(repr(sizes).encode(), digest_size=8)
        layers = [self.code_encoder, self.code_decoder]
        if self.top is not None:
            layers += [self.top.encoder, self.top.decoder, self.top.enlarge]
        codebooks = [quantizer.codebook for quantizer in self.quantizers]
        for weight in (*(w for x in layers for w in x.weights), *codebooks):
            checksum.update(repr(tuple(weight.shape)).encode())
            checksum.update(np.ascontiguousarray(weight, "<f4").tobytes())
        return checksum.hexdigest()

    # Training.

    def _pass(self, images):
        """Minus the objective in bits/dim [N], and what is `quantised`."""
        maps = self.quantised(images)
        _, vectors, codes = zip(*maps, strict=True)
        distance = tf.add_n([tf.reduce_mean(x, axis=[1, 2, 3]) for x in self._distances(maps)])
        nats = self.commitment * math.prod(self.image_shape) * tf.cast(distance, tf.float64)
        nats -= self.log_prob_given(images, self._parameters(vectors))
        nats -= self.code_log_prob(self.joined(codes))
        return tf.cast(bits_per_dim(nats, self.image_shape), tf.float32), maps

    def _distances(self, maps):
        """(z − sg[e])² of every map."""
        for quantizer, (z, _, codes) in zip(self.quantizers, maps, strict=True):
            yield tf.square(z - tf.stop_gradient(tf.cast(quantizer.look_up(codes), z.dtype)))

    def training_loss_of(self, images: Array, condition: Array | None, training: bool) -> tf.Tensor:
        """Minus the objective in bits/dim of every image [N]."""
        return self._pass(images)[0]

    @property
    def sum_shapes(self) -> list:
        """See `LearnsByAverages`: of each codebook."""
        codebook = (self.codes, self.quantizer.features)
        return [codebook[:1], codebook, codebook] * len(self.quantizers)

    def training_loss_and_sums_of(
        self, images: Array, condition: Array | None, part: Part
    ) -> tuple[tf.Tensor, list]:
        """See `LearnsByAverages`: what the codebooks are trained by."""
        (losses, maps), sums = self._pass(images), []
        of_maps = zip(self.quantizers, self.map_sizes, maps, strict=True)
        for quantizer, size, (z, _, codes) in of_maps:
            each = math.prod(size)
            z = tf.reshape(z, [-1, quantizer.features])
            place = (part.step, part.first * each, part.total * each)
            sums += quantizer.batch_sums(z, tf.reshape(codes, [-1]), *place)
        return losses, sums

    def take_sums(self, sums: list, when: bool | tf.Tensor = True) -> None:
        """See `LearnsByAverages`."""
        for number, quantizer in enumerate(self.quantizers):
            quantizer.update(sums[3 * number : 3 * number + 3], when)

    # What codes are used.

    @functools.cached_property
    def code_sums(self) -> Callable[[tf.Tensor, tf.Tensor], tuple]:
        """Function (images, 1.0 or 0.0 for each) → how often each code is used; Σ ‖z − e‖²/D.

        The former is of every map, [maps, K]; the latter is the sum over the codes of the squared
        distance per number of z. Float64.
        """

        def sums(images, counted):
            maps, used = self.quantised(images), []
            sizes = {"minlength": self.codes, "maxlength": self.codes}
            for size, (_, _, codes) in zip(self.map_sizes, maps, strict=True):
                weights = tf.repeat(counted, math.prod(size))
                codes = tf.reshape(codes, [-1])
                used.append(tf.math.bincount(codes, weights, **sizes, dtype=tf.float64))
            distance = tf.add_n(
                [
                    tf.reduce_sum(tf.reduce_mean(x, axis=-1), axis=[1, 2])
                    for x in self._distances(maps)
                ]
            )
            return tf.stack(used), tf.tensordot(counted, tf.cast(distance, tf.float64), 1)

        return tf.function(sums, reduce_retracing=True, autograph=False)
