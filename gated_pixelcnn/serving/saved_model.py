"""An exported SavedModel, used like the model that it was made from."""

from pathlib import Path

import tensorflow as tf

from gated_pixelcnn import paths
from gated_pixelcnn.errors import UserError, first_line
from gated_pixelcnn.models.density_model import DensityModel
from gated_pixelcnn.paths import PathLike
from gated_pixelcnn.runs.directory import names_of_condition
from gated_pixelcnn.serving import facts, versions
from gated_pixelcnn.spec import ORDERED, ImageSpec, condition_spec


def load_saved_model(path: PathLike) -> "SavedModel":
    """Loads what `export` wrote.

    A SavedModel is a program: load only those of people you trust (docs/security.md).

    Args:
      path: Directory of a version, or of the versions: then the latest one is taken.

    Returns:
      SavedModel.

    Raises:
      UserError: it is not there, not of this package, or damaged.
    """
    path = versions.find(Path(paths.of_saved_model(path)))
    known = facts.read(path)
    try:
        loaded = tf.saved_model.load(str(path))
        graphs = ["draw", "terms", *["draw_rest"] * known["completes"]]
        graphs += [] if known["is_lower_bound"] else ["values"]
        if not all(hasattr(loaded, name) for name in graphs):
            raise ValueError("it lacks the graphs of an export")
        return SavedModel(loaded, known, path)
    except Exception as error:  # TensorFlow raises almost anything at a damaged one
        raise UserError(
            f"the SavedModel {path} is damaged ({first_line(error)}); export the model again"
        ) from error


class SavedModel(DensityModel):
    """Log-probabilities and samples by the graphs of an exported model.

    Attributes:
      path: of the version.
      max_images: number of images that its graphs take at once; larger batches are cut.
      run: config.json of the run that it is from.
    """

    def __init__(self, loaded, known, path):
        """Args: loaded: by TensorFlow; known: its facts; path: of the version."""
        self._restored = loaded
        self.path = path
        self.run = known["run"]
        self.image_spec = ImageSpec(
            self.run["image_shape"],
            self.run["levels"],
            self.run["config"].model.get("values", ORDERED),
        )
        self.condition_spec = condition_spec(
            known["condition"],
            known["condition_size"],
            self.image_spec,
            names_of_condition(self.run),
            as_served=True,
        )
        self.is_lower_bound, self.terms = known["is_lower_bound"], known["terms"]
        self.completes = known["completes"]
        self.max_images = known["max_images"]

    @property
    def signatures(self):
        """Names of the signatures and their functions: what a server offers."""
        return self._restored.signatures

    def log_prob_terms_of(self, images, condition=None, training=False):
        """See `DensityModel`."""
        return self._score(self._restored.terms, images, condition)

    def value_log_prob_of(self, images, condition=None, training=False):
        """See `DensityModel`."""
        if self.is_lower_bound:
            return super().value_log_prob_of(images, condition)
        return self._score(self._restored.values, images, condition)

    def _run(self, hook):
        """See `DensityModel`: the hooks are graphs already."""
        return getattr(self, hook)

    def _score(self, graph, images, condition):
        return self._in_parts(
            len(images),
            lambda part: graph(images=images[part], **self._named(condition, part)),
        )

    def draw(self, request):
        """See `DensityModel`: the images only; `jit` means nothing here."""

        def draw(part):
            how = {
                "seed": tf.cast(request.seed, tf.int64),
                "temperature": request.options.temperature,
                "example_seeds": request.example_seeds[part],
                **self._named(request.condition, part),
            }
            if request.given is None:
                return self._restored.draw(**how)
            images, known = request.given[part], request.known[part]
            return self._restored.draw_rest(images=images, known=known, **how)

        return [self._in_parts(request.num, draw)]

    def _named(self, condition, part):
        """The part of a condition as the graphs want it."""
        return {} if condition is None else {self.condition_kind: condition[part]}

    def _in_parts(self, num, function):
        """Concatenates what a function gives for parts (slices) of at most `max_images`."""
        starts = range(0, num, self.max_images)
        parts = [slice(start, min(start + self.max_images, num)) for start in starts]
        return tf.concat([function(part) for part in parts], axis=0)
