"""Vector quantisation: every vector becomes the nearest entry of a learned codebook.

Source: "Neural Discrete Representation Learning" (van den Oord et al., 2017), equations 1 to 3 and
appendix A.1, whose moving averages train the codebook in the place of a gradient:

    c(z) = argmin_k ‖z − e_k‖²,      e_c = z + sg[e_c − z]     (straight-through: ∂e_c/∂z = 1)

    N_k ← γ N_k + (1 − γ) n_k         n_k  number of the step's vectors whose code is k
    m_k ← γ m_k + (1 − γ) Σ z         over these vectors
    e_k = m_k / N̂_k,   N̂_k = (N_k + ε) / (N + K ε) · N,   N = Σ_k N_k     (Laplace smoothing)

A code is dead where N_k is below a share of M / K, what it would have if all codes were used alike
(M vectors in a step). It begins anew at a vector of the batch, with N_k = M / K, as in "Jukebox"
(Dhariwal et al., 2020), section 3. N and m begin at zero: the first batch places all codes.

What a step needs of its batch are sums over the vectors, so parts of a batch, on one device or on
several, add up: n_k, Σ z, and for every code the vector at which it would begin anew. Which vector
that is depends on the step and on the place in the whole batch only.
"""

from typing import Any

import keras
import tensorflow as tf

from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.likelihoods.base import real
from gated_pixelcnn.spec import Shape, check_integer

EPSILON = 1e-5  # of the smoothing, as in the authors' code
_SALT = 0x7651  # random numbers of the restarts, beside the step


class VectorQuantizer(Layer):
    """Vectors [..., D] → the nearest entries of a codebook, and their numbers.

    Attributes:
      codebook: e [K, D]; no gradient trains it.
      counts: N [K].
      sums: m [K, D].
    """

    def __init__(
        self,
        codes: int,
        features: int,
        decay: float = 0.99,
        restart_below: float = 0.03,
        **kwargs: Any,
    ) -> None:
        """Makes the layer.

        Args:
          codes: K, at least 2.
          features: D, at least 1.
          decay: γ, at least 0 and below 1.
          restart_below: the share of M / K below which a code is dead, at least 0 and below 1; 0:
            none is.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(**kwargs)
        self.codes = check_integer("codes", codes, 2, 2**16)
        self.features = check_integer("code_features", features, 1)
        for name, value in {"decay": decay, "restart_below": restart_below}.items():
            if not 0 <= value < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {value}.")
        self.decay, self.restart_below = decay, restart_below

    def build(self, input_shape: Shape) -> None:
        """Makes the codebook and its averages."""
        # All replicas compute the same values.
        kept = {"trainable": False, "aggregation": "only_first_replica"}
        shape = (self.codes, self.features)
        deviation = keras.initializers.RandomNormal(stddev=1.0)
        self.codebook = self.add_weight(name="codebook", shape=shape, initializer=deviation, **kept)
        self.counts = self.add_weight(
            name="counts", shape=(self.codes,), initializer="zeros", **kept
        )
        self.sums = self.add_weight(name="sums", shape=shape, initializer="zeros", **kept)
        super().build(input_shape)

    def call(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Quantises vectors.

        Args:
          z: floats [..., D].

        Returns:
          Entries of the codebook [..., D], float32 or float64, whose gradient goes to z as it is;
          and their numbers, int32 [...].
        """
        z = real(z)
        codes = self.nearest(z)
        return z + tf.stop_gradient(self.look_up(codes) - z), codes

    def nearest(self, z: tf.Tensor) -> tf.Tensor:
        """The number of the nearest entry to each vector [..., D], the first of several: int32."""
        z = real(z)
        codebook = tf.cast(self.codebook.value, z.dtype)
        # |z − e|² without |z|², which is the same for all e.
        flat = tf.reshape(z, [-1, self.features])
        lengths = tf.reduce_sum(tf.square(codebook), axis=1)
        distances = lengths - 2 * tf.matmul(flat, codebook, transpose_b=True)
        codes = tf.argmin(distances, axis=1, output_type=tf.int32)
        return tf.reshape(codes, tf.shape(z)[:-1])

    def look_up(self, codes: tf.Tensor) -> tf.Tensor:
        """The entries of codes [...]: [..., D]."""
        return tf.gather(self.codebook.value, codes)

    # A step of the averages.

    def batch_sums(
        self,
        z: tf.Tensor,
        codes: tf.Tensor,
        step: tf.Tensor,
        first: int | tf.Tensor,
        total: int | tf.Tensor,
    ) -> list[tf.Tensor]:
        """Sums over the vectors of a part of a batch, which add up to those of the batch.

        Args:
          z: vectors [M', D].
          codes: their codes [M'].
          step: number of the step.
          first: number of the batch's vectors before these.
          total: M, number of vectors in the whole batch.

        Returns:
          n [K]; Σ z of every code [K, D]; and of the vectors at which codes would begin anew those
          that are in this part, others as zeros [K, D]. Float32 or float64.
        """
        z = tf.stop_gradient(real(z))
        hits = tf.one_hot(codes, self.codes, dtype=z.dtype)
        places = self._restarts(step, total) - tf.cast(first, tf.int64)
        num = tf.shape(z, tf.int64)[0]
        here = (places >= 0) & (places < num)
        found = tf.gather(z, tf.clip_by_value(places, 0, num - 1))
        return [
            tf.reduce_sum(hits, axis=0),
            tf.matmul(hits, z, transpose_a=True),
            tf.where(here[:, tf.newaxis], found, tf.zeros_like(found)),
        ]

    def _restarts(self, step, total):
        """The place in the batch of each code's new vector, int64 [K]: another one for each.

        The batch is cut into K equal pieces, in a circle that begins at a random place, and each
        code has a random place in its own; if there are fewer than K vectors, codes share some.
        """
        seed = tf.stack([tf.cast(step, tf.int64), _SALT])
        bits = tf.random.stateless_uniform(
            (self.codes + 1,), seed, None, None, tf.uint32, alg="philox"
        )
        total = tf.cast(total, tf.int64)
        piece = tf.maximum(total // self.codes, 1)
        random = tf.cast(bits, tf.int64)
        begins = piece * tf.range(self.codes, dtype=tf.int64)
        return (random[-1] + begins + random[:-1] % piece) % total

    def update(self, sums: list[tf.Tensor], when: bool | tf.Tensor = True) -> None:
        """Moves averages and codebook by the sums of a whole batch.

        Args:
          sums: of `batch_sums`, added up over all parts.
          when: whether to; otherwise all stay as they are.
        """
        dtype = self.codebook.dtype
        counts, totals, restarts = (tf.cast(x, dtype) for x in sums)
        average = self.decay * self.counts.value + (1 - self.decay) * counts
        moved = self.decay * self.sums.value + (1 - self.decay) * totals
        if self.restart_below:
            share = tf.reduce_sum(counts) / self.codes
            dead = average < self.restart_below * share
            average = tf.where(dead, share, average)
            moved = tf.where(dead[:, tf.newaxis], share * restarts, moved)
        whole = tf.reduce_sum(average)
        smoothed = (average + EPSILON) / (whole + self.codes * EPSILON) * whole
        # A code that no vector ever had stays where it is.
        used = (average > 0)[:, tf.newaxis]
        codebook = tf.where(used, moved / smoothed[:, tf.newaxis], self.codebook.value)
        for variable, new in (
            (self.counts, average),
            (self.sums, moved),
            (self.codebook, codebook),
        ):
            variable.assign(tf.where(when, new, variable.value))
