"""Pixels drawn as a fixed point: all at once, again and again, until nothing changes.

The random numbers of every pixel are there before it is drawn, so pixels are a function of
themselves: values ─→ network ─→ distribution of each given those before it ─→ values. What `loop`
draws pixel by pixel is the only fixed point. From any guess a step makes one more value right, and
often many more: as many steps are needed as the longest chain of values that surprise.

Source: "Predictive Sampling with Forecasting Autoregressive Models" (Wiggers and Hoogeboom, 2020)
and "Accelerating Feedforward Computation via Parallel Nonlinear Equation Solving" (Song et al.,
2021), of whole images; `loop` also does it row by row, where the rows above are finished and
cached.
"""

import tensorflow as tf


def draw_at_once(model, outputs_of, inputs, choose, guess):
    """Draws pixels that depend on each other in order.

    Args:
      model: a density model.
      outputs_of: function (values int32 [N, H, W, C]) → the raw outputs of their pixels
        [N, H, W, output_features], each given those before it, and a nest to remember.
      inputs: nest of tensors [N, H, W, C, …] that `choose` reads.
      choose: see `loop.run`.
      guess: int32 [N, H, W, C], what the values may be like.

    Returns:
      Values int32 [N, H, W, C]; the nest of `outputs_of` for them; and the number of steps, int32.
    """
    shape = guess.shape[1:]
    count = shape.num_elements()
    place = tf.reshape(tf.range(count), shape)
    flat = tf.nest.map_structure(lambda x: tf.reshape(x, [-1, *x.shape[3:]]), inputs)
    together = model.likelihood.colours_share_parameters

    def draw(values):
        outputs, remembered = outputs_of(values)
        raw = tf.cast(model.raw_parameters(outputs), tf.float32)
        parameters = model.likelihood.parameters(raw)
        parameters = tf.reshape(parameters, [-1, *parameters.shape[3:]])
        drawn = tf.zeros((tf.shape(parameters)[0], 0), tf.int32)
        for colour in range(shape[-1]):
            own = parameters if together else parameters[:, colour]
            value = choose(own, colour, drawn, flat)
            drawn = tf.concat([drawn, value[:, tf.newaxis]], axis=1)
        return tf.reshape(drawn, tf.shape(values)), remembered

    def step(values, right, steps, *_):
        drawn, remembered = draw(values)
        # What is right stays: an image that is done waits for the others.
        drawn = tf.where(place < right[:, tf.newaxis, tf.newaxis, tf.newaxis], values, drawn)
        changed = tf.reshape(drawn != values, [-1, count])
        first = tf.argmax(tf.cast(changed, tf.int32), axis=1, output_type=tf.int32)
        right = tf.where(tf.reduce_any(changed, axis=1), first + 1, count)
        return drawn, right, steps + 1, tf.reduce_any(changed), remembered

    first = step(guess, tf.zeros_like(guess[:, 0, 0, 0]), tf.constant(0))
    values, _, steps, _, remembered = tf.while_loop(lambda *now: now[3], step, first)
    return values, remembered, steps
