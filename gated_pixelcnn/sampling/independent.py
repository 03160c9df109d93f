"""Drawing images whose pixels are independent of each other, given the parameters of all."""

import tensorflow as tf

from gated_pixelcnn.sampling.options import UNCHANGED
from gated_pixelcnn.spec import integer_type


def draw_value(likelihood, parameters, colour, values, noise, options=UNCHANGED):
    """Draws one colour of pixels.

    Args:
      likelihood: a `likelihoods.Likelihood`.
      parameters: [N, P] of this colour, or of the whole pixel if the colours share them.
      colour: 0…C−1.
      values: int32 [N, colour], the pixels' earlier colours.
      noise: uniforms [N, C, K] of the pixels.
      options: SamplingOptions; what is a Python number of it is fixed in the graph.

    Returns:
      int32 [N].
    """
    if tf.is_tensor(options.reduce_log_scale) or options.reduce_log_scale:
        parameters = likelihood.narrowed(parameters, options.reduce_log_scale)
    draw, of_colour = likelihood.draw, colour
    if options.most_probable and likelihood.is_logistic:  # one component for all colours
        draw, of_colour = likelihood.draw_mode, 0
    temperature = options.temperature
    if options.top_k or tf.is_tensor(options.top_p) or options.top_p < 1:
        how = temperature, options.top_k, options.top_p
        parameters, temperature = likelihood.truncated(parameters, colour, *how), 1.0
    return draw(parameters, colour, values, noise[:, of_colour], temperature)


def sample_independently(likelihood, parameters, noise, options=UNCHANGED):
    """Draws all pixels at once; the colours of a pixel one after the other.

    Args:
      likelihood: a `likelihoods.Likelihood`.
      parameters: its parameter map [N, H, W, C, P], or [N, H, W, P] if the colours share them.
      noise: uniforms [N, H, W, C, K], see `noise`.
      options: SamplingOptions.

    Returns:
      Integers [N, H, W, C] in the type of the levels.
    """
    together = likelihood.colours_share_parameters
    noise = tf.cast(noise, parameters.dtype)
    pixels = tf.reshape(parameters, [-1, *parameters.shape[3:]])
    flat = tf.reshape(noise, [-1, *noise.shape[3:]])
    values = tf.zeros((tf.shape(flat)[0], 0), tf.int32)
    for colour in range(likelihood.channels):
        own = pixels if together else pixels[:, colour]
        drawn = draw_value(likelihood, own, colour, values, flat, options)
        values = tf.concat([values, drawn[:, tf.newaxis]], axis=1)
    return tf.cast(tf.reshape(values, tf.shape(noise)[:4]), integer_type(likelihood.levels))
