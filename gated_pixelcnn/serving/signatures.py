"""The graphs of a SavedModel: what TensorFlow Serving calls "signatures", with all their checks.

A server runs these without Python, so whatever a request may get wrong is checked in the graph:
it ends in an InvalidArgument error and never in a wrong answer. Only operations that every
TensorFlow runtime has are used: no Python functions, and XLA only where it is asked for.
"""

import tensorflow as tf

from gated_pixelcnn.data.preprocessing import BYTES
from gated_pixelcnn.graph_checks import after, of_shape, required
from gated_pixelcnn.limits import LEAST_TEMPERATURE, MOST_TEMPERATURE
from gated_pixelcnn.models.request import Request
from gated_pixelcnn.sampling import SamplingOptions, compiled_num
from gated_pixelcnn.serving.decoding import decode
from gated_pixelcnn.spec import bits_per_dim

PNG_OR_JPEG_COLOURS = (1, 3)


class Signatures:
    """A model as SavedModel signatures.

    Attributes:
      signatures: name → concrete function, see docs/serving.md.
      graphs: what they are made of, name → concrete function that Python calls. draw: images of
        given example seeds; terms: nats of an image's terms; draw_rest: the rest of given images,
        of a model that completes; values: nats of every value, of an exact one.
    """

    def __init__(self, model, max_images, values=BYTES, gray=False, jit=False):
        """Traces the graphs.

        Args:
          model: a density model.
          max_images: number of images in one request, at most: a request for more is refused
            before it takes the server's memory.
          values: whether image files hold levels or bytes, as those of the run did.
          gray: whether colours of image files become gray, as those of the run did.
          jit: whether XLA compiles what draws.
        """
        self._model, self._max_images, self._jit = model, max_images, jit
        self._reading = {"values": values, "gray": gray}
        images = model.image_spec.served()
        known = tf.TensorSpec([None, *model.image_shape], tf.bool)
        seed, temperature = tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.float32)
        self._condition = model.condition_spec.served()
        how_many = self._condition or {"num": tf.TensorSpec([], tf.int32)}
        example_seeds = tf.TensorSpec([None], tf.int32)
        how = {"seed": seed, "temperature": temperature}
        given = {"images": images, "known": known}
        self.graphs = {
            "draw": self._traced(self._draw, example_seeds=example_seeds, **self._condition, **how),
            "terms": self._traced(self._terms, images=images, **self._condition),
        }
        sample = self._traced(self._sample, **how_many, **how)
        self.signatures = {
            "serving_default": sample,
            "sample": sample,
            "sample_at_temperature_1": self._traced(self._sample, **how_many, seed=seed),
            "log_prob": self._traced(self._log_prob, images=images, **self._condition),
        }
        if model.completes:
            self.graphs["draw_rest"] = self._traced(
                self._draw_rest, example_seeds=example_seeds, **given, **self._condition, **how
            )
            self.signatures["complete"] = self._traced(
                self._complete, **given, **self._condition, **how
            )
        if not model.is_lower_bound:
            self.graphs["values"] = self._traced(self._values, images=images, **self._condition)
            self.signatures["value_log_prob"] = self._traced(
                self._value_log_prob, images=images, **self._condition
            )
        if model.image_shape[-1] in PNG_OR_JPEG_COLOURS and model.levels <= 256:
            files = tf.TensorSpec([None], tf.string)
            self.signatures["log_prob_bytes"] = self._traced(
                self._log_prob_bytes, image_bytes=files, **self._condition
            )

    def save(self, path):
        """Writes the SavedModel."""
        module = tf.Module()
        module.weights = [weight.value for weight in self._model.weights]
        for name, graph in self.graphs.items():
            setattr(module, name, graph)
        # Gradients of our operations could only be kept with the code that defines them.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, str(path), self.signatures, options)

    def _traced(self, function, **specs):
        """The function as a graph; its arguments are called as in `specs` and checked as such."""
        named = {name: tf.TensorSpec(s.shape, s.dtype, name) for name, s in specs.items()}

        def checked(**inputs):
            return function(
                **{name: of_shape(name, x, specs[name].shape) for name, x in inputs.items()}
            )

        # One function per signature; autograph would look for source that is not needed.
        return tf.function(checked, autograph=False).get_concrete_function(**named)

    # Signatures.

    def _sample(self, seed, temperature=None, num=None, **condition):
        if num is None:
            num = tf.shape(*condition.values())[0]
        num = self._checked_num("num" if not condition else f"the number of {[*condition][0]}", num)
        temperature = tf.ones([]) if temperature is None else temperature
        how = {"seed": seed, "temperature": temperature}
        return {"images": self.graphs["draw"](example_seeds=tf.range(num), **condition, **how)}

    def _complete(self, images, **arguments):
        num = self._checked_num("the number of images", tf.shape(images)[0])
        draw_rest = self.graphs["draw_rest"]
        return {"images": draw_rest(example_seeds=tf.range(num), images=images, **arguments)}

    def _log_prob(self, images, **condition):
        terms = self.graphs["terms"](images=images, **condition)
        nats = tf.cast(tf.reduce_sum(terms, axis=1), tf.float32)
        return {"log_prob": nats, "bits_per_dim": bits_per_dim(-nats, self._model.image_shape)}

    def _value_log_prob(self, images, **condition):
        return {"value_log_prob": self.graphs["values"](images=images, **condition)}

    def _log_prob_bytes(self, image_bytes, **condition):
        checked = self._checked_batch({"image_bytes": image_bytes, **condition})
        files = checked.pop("image_bytes")
        images = decode(files, self._model.image_shape, self._model.levels, **self._reading)
        return self._log_prob(images, **checked)

    # What they share.

    def _draw(self, example_seeds, seed, temperature, **condition):
        example_seeds, *condition = self._checked_batch(
            {"example_seeds": example_seeds, **condition}
        ).values()
        return self._drawn(example_seeds, condition, seed, temperature)

    def _draw_rest(self, example_seeds, images, known, seed, temperature, **condition):
        inputs = {"images": images, "known": known, "example_seeds": example_seeds, **condition}
        images, known, example_seeds, *condition = self._checked_batch(inputs).values()
        return self._drawn(example_seeds, condition, seed, temperature, images, known)

    def _drawn(self, example_seeds, condition, seed, temperature, images=None, known=None):
        condition = condition[0] if condition else None
        options = SamplingOptions(checked_temperature(temperature))
        how = options, images, known, example_seeds, self._jit
        request = Request(None, condition, seed, *how)
        if not self._jit:
            return self._model.draw(request)[-1]
        num = tf.shape(example_seeds)[0]
        nums = range(1, self._max_images + 1)
        sizes = tf.constant(sorted({compiled_num(n, most=1) for n in nums}))
        longer = request.padded(sizes[tf.searchsorted(sizes, [num])[0]])
        return self._model.draw(longer)[-1][:num]

    def _terms(self, images, **condition):
        images, *condition = self._checked_batch({"images": images, **condition}).values()
        return self._model.log_prob_terms_of(images, *condition)

    def _values(self, images, **condition):
        images, *condition = self._checked_batch({"images": images, **condition}).values()
        return self._model.value_log_prob_of(images, *condition)

    # Checks.

    def _checked_num(self, name, num):
        allowed = (num >= 1) & (num <= self._max_images)
        return after([required(allowed, f"{name} must be 1…{self._max_images} but is", num)], num)

    def _checked_batch(self, inputs):
        """Inputs with the images first: as many of each as allowed, with values as allowed."""
        if not inputs:
            return {}
        name, first = next(iter(inputs.items()))
        num = self._checked_num(f"the number of {name}", tf.shape(first)[0])
        checked = {}
        for other, x in inputs.items():
            found = tf.shape(x)[0]
            message = f"{other} must have one entry for each of {name} but has"
            checks = [num, required(tf.equal(found, num), message, found)]
            checked[other] = self._of_values(other, after(checks, x))
        return checked

    def _of_values(self, name, x):
        """An input whose values have been checked, too."""
        if name == "images":
            return self._model.image_spec.check_served(name, x)
        if name in self._condition:
            return self._model.condition_spec.check_served(name, x)
        return x


def checked_temperature(temperature):
    """The temperature, if it is one."""
    allowed = (temperature >= LEAST_TEMPERATURE) & (temperature <= MOST_TEMPERATURE)
    message = f"temperature must be {LEAST_TEMPERATURE:g}…{MOST_TEMPERATURE:g} but is"
    return after([required(allowed, message, temperature)], temperature)
