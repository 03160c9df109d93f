"""A row of images drawn as a fixed point: all of its pixels at once, until nothing changes.

The random numbers of every pixel are there before it is drawn, so a row is a function of itself:
values ─→ network ─→ distribution of every pixel given those before it ─→ values. What `loop` draws
pixel by pixel is its only fixed point. From any guess a step makes one more pixel right, and often
many more: as many steps are needed as the longest chain of values that surprise.

Source: "Predictive Sampling with Forecasting Autoregressive Models" (Wiggers and Hoogeboom, 2020)
and "Accelerating Feedforward Computation via Parallel Nonlinear Equation Solving" (Song et al.,
2021), of whole images; here the rows above are finished and cached.
"""

import tensorflow as tf


def draw_row(model, decoder, row, inputs, choose, guess):
    """Draws a row.

    Args:
      model: a density model.
      decoder: its `CachedDecoder`.
      row: what the row has from above, of `CachedDecoder.row`.
      inputs: nest of tensors [W, N, C, …] that `choose` reads.
      choose: see `loop.run`.
      guess: int32 [N, W, C], what the row may be like.

    Returns:
      Values int32 [N, W, C]; the cache of the row, see `CachedDecoder.row_cache`; and the number of
      steps, int32.
    """
    width, channels = guess.shape[1:]
    flat = tf.nest.map_structure(_by_image, inputs)  # [N·W, C, …]
    place = tf.reshape(tf.range(width * channels), (width, channels))

    def draw(values):
        x = model.network_input(values)[:, tf.newaxis]
        outputs, row_cache = decoder.whole_row(row, x)
        raw = tf.cast(model.raw_parameters(outputs), tf.float32)
        parameters = model.likelihood.parameters(raw)
        parameters = tf.reshape(parameters, [-1, *parameters.shape[3:]])
        drawn = tf.zeros((tf.shape(parameters)[0], 0), tf.int32)
        for colour in range(channels):
            together = model.likelihood.colours_share_parameters
            own = parameters if together else parameters[:, colour]
            value = choose(own, colour, drawn, flat)
            drawn = tf.concat([drawn, value[:, tf.newaxis]], axis=1)
        return tf.reshape(drawn, tf.shape(values)), row_cache

    def step(values, right, steps, *_):
        drawn, row_cache = draw(values)
        # What is right stays: an image whose row is done waits for the others.
        drawn = tf.where(place < right[:, tf.newaxis, tf.newaxis], values, drawn)
        changed = tf.reshape(drawn != values, [-1, width * channels])
        first = tf.argmax(tf.cast(changed, tf.int32), axis=1, output_type=tf.int32)
        right = tf.where(tf.reduce_any(changed, axis=1), first + 1, width * channels)
        return drawn, right, steps + 1, tf.reduce_any(changed), row_cache

    first = step(guess, tf.zeros_like(guess[:, 0, 0]), tf.constant(0))
    values, _, steps, _, row_cache = tf.while_loop(lambda *now: now[3], step, first)
    return values, row_cache, steps


def _by_image(x):
    """[W, N, …] → [N·W, …]."""
    x = tf.transpose(x, [1, 0, *range(2, x.shape.rank)])
    return tf.reshape(x, [-1, *x.shape[2:]])
