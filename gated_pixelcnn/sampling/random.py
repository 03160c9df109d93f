"""Random numbers of images by seed and example seed, the same on every device, in every batch."""

import tensorflow as tf


def uniforms(bits):
    """uint32 → floats in (0, 1), bit-identical with and without XLA and on every device."""
    return (tf.cast(tf.bitwise.right_shift(bits, tf.constant(9, tf.uint32)), tf.float32) + 0.5) * (
        2.0**-23
    )


def noise(seed, example_seeds, model):
    """Random numbers for images, for each by an example seed of its own.

    Args:
      seed: integer.
      example_seeds: int32 [N]; the numbers of image i are a function of (seed, example_seeds[i]),
        so that they do not depend on the batch that it is drawn in.
      model: gives the number of values.

    Returns:
      Uniform floats in (0, 1) [N, H, W, C, K], K the number that one value takes.
    """
    shape = (*model.image_shape, model.likelihood.noise_per_value)
    return uniform_noise(seed, example_seeds, shape)


def uniform_noise(seed, example_seeds, shape):
    """The numbers of `noise`, of any shape for an image: [N, *shape]."""
    example_seeds = tf.cast(example_seeds, tf.int64)
    numbers = _noise(tf.cast(seed, tf.int64), example_seeds, tuple(shape))
    return tf.ensure_shape(numbers, (*example_seeds.shape, *shape))


def gaussian_noise(seed, example_seeds, shape):
    """Random numbers from a unit Gaussian, as `noise` gives uniform ones: float32 [N, *shape]."""
    return tf.math.ndtri(uniform_noise(seed, example_seeds, shape))


@tf.function(reduce_retracing=True)
def _noise(seed, example_seeds, shape):
    def one(index):
        bits = tf.random.stateless_uniform(
            shape, tf.stack([seed, index]), None, None, tf.uint32, alg="philox"
        )
        return uniforms(bits)

    return tf.map_fn(one, example_seeds, fn_output_signature=tf.TensorSpec(shape, tf.float32))
