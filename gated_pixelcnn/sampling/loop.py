"""Drawing images: the one loop over rows and pixels, for every family.

Everything that depends on finished rows is computed once per row, everything that depends on the
finished pixels of the row once per pixel (Ramachandran et al., "Fast Generation for Convolutional
Autoregressive Models", 2017), so a CPU draws a batch in about two forward passes. One graph has it
all.
"""

import functools
from collections.abc import Callable
from typing import Any, Protocol

import tensorflow as tf

from gated_pixelcnn.sampling.fixed_point import draw_at_once
from gated_pixelcnn.sampling.independent import draw_value
from gated_pixelcnn.sampling.options import UNCHANGED
from gated_pixelcnn.sampling.parts import join, parts_of, size, split

Nest = Any  # of tensors


class CachedDecoder(Protocol):
    """A network that can be run row by row and pixel by pixel; states are nests of tensors."""

    def first_rows(self) -> Nest:
        """State of what depends on finished rows, before row 0."""

    def first_row_cache(self) -> Nest:
        """The cache of a row before row 0, see `row_cache`."""

    def row(
        self, state: Nest, finished: tf.Tensor, row_cache: Nest, index: tf.Tensor
    ) -> tuple[Nest, Nest]:
        """Takes the last finished row into the state.

        Args:
          state: of `first_rows` or of the row before.
          finished: the finished row as the network sees it [N, W, input_features] (zeros before
            row 0).
          row_cache: of `row_cache`, for the finished row.
          index: of the row to come.

        Returns:
          The new state, and what the row has from above: a nest of tensors.
        """

    def by_pixels(self, row: Nest) -> Nest:
        """What `row` gave, as `pixel` reads it: a nest of tensors [W, …, N, features]."""

    def first_pixels(self, num: int | tf.Tensor) -> Nest:
        """State of what depends on the finished pixels of a row, before its pixel 0.

        Args:
          num: number of images; a row's pixels may be run for a part of the batch only.
        """

    def pixel(
        self,
        state: Nest,
        row: Nest,
        index: tf.Tensor,
        draw: Callable[[int, tf.Tensor], tf.Tensor],
    ) -> Nest:
        """Runs one pixel.

        Args:
          state: of `first_pixels` or of the pixel before.
          row: of `by_pixels`, for the pixel's row.
          index: of the pixel in its row.
          draw: function (colour, raw outputs [N, P]) → the drawn value as the network sees it, or
            those of all colours where they share their parameters. Called once per colour group,
            in order.

        Returns:
          The new state.
        """

    def row_cache(self, state: Nest) -> Nest:
        """Cache of the pixels of this row for the next one: a nest of tensors [W, …, N, features].

        Args:
          state: that after the row's last pixel.
        """

    def whole_row(self, row: Nest, x: tf.Tensor) -> tuple[tf.Tensor, Nest]:
        """Runs all pixels of a row at once; only where `AutoregressiveModel.has_whole_rows`.

        Args:
          row: what `row` gave for the row.
          x: the row's values as the network sees them [N, 1, W, input_features].

        Returns:
          Raw outputs [N, 1, W, output_features]; those of a pixel depend on what is before it in
          `x`. And the cache of `row_cache`.
        """


def sample(
    model,
    noise,
    condition=None,
    options=UNCHANGED,
    given=None,
    known=None,
    jit=False,
    method="pixels",
):
    """Draws images value by value in the order (row, column, colour); runs inside a graph.

    Args:
      model: a density model.
      noise: uniforms [N, H, W, C, K], see `noise`.
      condition: what the model is conditioned on, or None.
      options: SamplingOptions; what is a Python number of it is fixed in the graph.
      given: integers [N, H, W, C] or None.
      known: booleans [N, H, W, C]; where True the value of `given` is kept.
      jit: see `run`.
      method: see `run`.

    Returns:
      Integers [N, H, W, C], in the type of `ImageSpec.dtype`.
    """
    inputs = {"noise": noise}
    if given is not None:
        inputs.update(given=tf.cast(given, tf.int32), known=known)

    def choose(parameters, colour, values, here):
        drawn = draw_value(model.likelihood, parameters, colour, values, here["noise"], options)
        if given is None:
            return drawn
        return tf.where(here["known"][:, colour], here["given"][:, colour], drawn)

    return run(model, condition, inputs, choose, jit, method)[0]


def run(model, condition, inputs, choose, jit=False, method="pixels"):
    """Runs a model incrementally over whole images.

    Args:
      model: a density model.
      condition: what the model is conditioned on, or None.
      inputs: nest of tensors [N, H, W, C, …] that `choose` reads.
      choose: function (parameters of the likelihood [N, P], colour, the pixel's earlier values
        int32 [N, colour], the pixel's `inputs` [N, C, …]) → values int32 [N].
      jit: whether XLA compiles all of it: the time of a pixel is that of many small operations,
        which cost nothing then.
      method: "pixels": one pixel after the other; "rows": all pixels of a row at once, or "image":
        all of the image, see `fixed_point`.

    Returns:
      The chosen values, integers [N, H, W, C], in the type of `ImageSpec.dtype`; and how many steps
      were made one after the other, int32: of a pixel, a whole row, or the whole image.
    """
    if method == "image":
        program = functools.partial(_run_image, model, choose=choose)
    else:
        program = functools.partial(_run, model, choose=choose, jit=jit, method=method)
    if not jit:
        return program(condition, inputs)
    program = tf.function(program, autograph=False, jit_compile=True)
    num = size(tf.nest.flatten(inputs)[0], 0)

    def side_by_side(parts):
        pairs = zip(split(condition, parts, 0), split(inputs, parts, 0), strict=True)
        images, steps = zip(*(program(*pair) for pair in pairs), strict=True)
        return tf.concat(images, axis=0), tf.reduce_max(steps)

    parts = parts_of(num, jit)
    if not tf.is_tensor(num) or len(parts) == 1:
        return side_by_side(parts)
    return tf.cond(num < 2, lambda: side_by_side([num]), lambda: side_by_side(parts))


def _run_image(model, condition, inputs, choose):
    condition = model.map_condition(condition)
    num = size(tf.nest.flatten(inputs)[0], 0)

    def outputs_of(values):
        return model.parameter_map(model.network_input(values), condition), ()

    guess = tf.zeros((num, *model.image_shape), tf.int32)
    values, _, steps = draw_at_once(model, outputs_of, inputs, choose, guess)
    return tf.cast(values, model.image_spec.dtype), steps


def _run(model, condition, inputs, choose, jit, method):
    height, width, channels = model.image_shape
    first = tf.nest.flatten(inputs)[0]
    batch, num = first.shape[0], size(first, 0)
    # Position first, so that a row or a pixel is one slice.
    inputs = tf.nest.map_structure(
        lambda x: tf.transpose(x, [1, 2, 0, *range(3, x.shape.rank)]), inputs
    )
    decoder = model.cached_decoder(num, model.map_condition(condition))
    together = model.likelihood.colours_share_parameters

    def run_row(index, state, finished, row_cache, image, steps, above):
        state, row = decoder.row(state, finished, row_cache, index)
        here = tf.nest.map_structure(lambda x: x[index], inputs)
        values, row_cache, made = of_row(row, here, above)
        image = image.write(index, values)
        return index + 1, state, model.network_input(values), row_cache, image, steps + made, values

    def by_pixels(row, here, _):
        row = decoder.by_pixels(row)
        parts = [num] if jit else parts_of(num, jit)
        pairs = zip(split(row, parts, -2), split(here, parts, 1), strict=True)
        values, row_cache = zip(*(run_pixels(*pair) for pair in pairs), strict=True)
        return tf.concat(values, axis=0), join(row_cache, -2), width

    def at_once(row, here, above):
        def outputs_of(values):
            return decoder.whole_row(row, model.network_input(values))

        here = tf.nest.map_structure(
            lambda x: tf.transpose(x, [1, 0, *range(2, x.shape.rank)])[:, tf.newaxis], here
        )
        guess = above[:, tf.newaxis]
        values, row_cache, made = draw_at_once(model, outputs_of, here, choose, guess)
        return values[:, 0], row_cache, made

    of_row = {"pixels": by_pixels, "rows": at_once}[method]

    def run_pixels(row, inputs):
        num = size(tf.nest.flatten(inputs)[0], 1)

        def run_pixel(index, state, done):
            here = tf.nest.map_structure(lambda x: x[index], inputs)
            values = []

            def draw(colour, raw):
                parameters = tf.cast(model.raw_parameters(raw, colour), tf.float32)
                for c in range(channels) if together else [colour]:
                    earlier = tf.stack(values, -1) if values else tf.zeros((num, 0), tf.int32)
                    values.append(choose(parameters, c, earlier, here))
                fresh = values if together else values[-1:]
                return model.network_input(tf.stack(fresh, axis=-1), 0 if together else colour)

            state = decoder.pixel(state, row, index, draw)
            return index + 1, state, done.write(index, tf.stack(values, axis=-1))

        done = tf.TensorArray(tf.int32, width, element_shape=(None, channels))
        loop = (tf.constant(0), decoder.first_pixels(num), done)
        _, state, done = tf.while_loop(lambda i, *_: i < width, run_pixel, loop)
        values = tf.ensure_shape(tf.transpose(done.stack(), [1, 0, 2]), (None, width, channels))
        return values, decoder.row_cache(state)

    image = tf.TensorArray(tf.int32, height, element_shape=(batch, width, channels))
    before = tf.zeros((num, width, model.input_features), model.compute_dtype)
    above = tf.zeros((num, width, channels), tf.int32)
    loop = (tf.constant(0), decoder.first_rows(), before, decoder.first_row_cache(), image)
    loop = (*loop, tf.constant(0), above)
    *_, image, steps, _ = tf.while_loop(lambda i, *_: i < height, run_row, loop)
    images = tf.cast(tf.transpose(image.stack(), [1, 0, 2, 3]), model.image_spec.dtype)
    return images, steps


def sample_naively(model, noise, condition=None, temperature=1.0):
    """The same draws with a whole forward pass per value: the reference that `sample` must equal.

    Args:
      model: a density model.
      noise: uniforms [N, H, W, C, K], see `noise`.
      condition: what the model is conditioned on, or None.
      temperature: scalar above 0.

    Returns:
      Integers [N, H, W, C], at the cost of H·W·(number of colour groups) forward passes.
    """
    height, width, channels = model.image_shape
    together = model.likelihood.colours_share_parameters

    def body(index, images):
        row, column = index // width, index % width
        for colour in range(channels):
            if colour == 0 or not together:
                parameters = model(images, condition)[:, row, column]
            values = model.likelihood.draw(
                parameters if together else parameters[:, colour],
                colour,
                images[:, row, column, :colour],
                noise[:, row, column, colour],
                temperature,
            )
            here = tf.one_hot((row * width + column) * channels + colour, height * width * channels)
            here = tf.reshape(here, (1, height, width, channels)) > 0
            images = tf.where(here, values[:, tf.newaxis, tf.newaxis, tf.newaxis], images)
        return index + 1, images

    images = tf.zeros((tf.shape(noise)[0], height, width, channels), tf.int32)
    loop = (tf.constant(0), images)
    _, images = tf.while_loop(lambda i, _: i < height * width, body, loop)
    return tf.cast(images, model.image_spec.dtype)
