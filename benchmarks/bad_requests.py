"""Malformed requests for an exported SavedModel: what becomes of them, and of its process.

    python benchmarks/bad_requests.py
    python benchmarks/bad_requests.py --num=5000 --saved_model=runs/a/export

The SavedModel is loaded by a child process with the session loader that TensorFlow Serving uses. It
gets random requests: wrong shapes, types, numbers, labels, temperatures, NaN, damaged files, no
images or far too many, and valid ones in between. A request ends well if it is valid and gets a
right answer (shape, range, finite), or if it is not and gets an InvalidArgument error that names
what is wrong. Afterwards, valid requests must be answered as before. The exit code is 1 if
anything did not end well. By default five small models with random weights are asked.
"""

import collections
import shutil
import tempfile
from pathlib import Path

from absl import flags
from request_trials import campaign

from gated_pixelcnn.errors import import_tensorflow_quietly, run

_NUM = flags.DEFINE_integer("num", 500, "Number of requests.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the requests.", lower_bound=0)
_SAVED_MODEL = flags.DEFINE_string(
    "saved_model", None, "A SavedModel to ask, or the directory of its versions."
)

VECTOR = {"condition": "vector", "condition_size": 4}
# Image shape, arguments of the model.
MODELS = [
    ((5, 7, 1), {"levels": 16, "condition": "label", "condition_size": 3}),
    ((5, 7, 3), {"levels": 256, "likelihood": "mixture", "components": 3}),
    ((7, 5, 1), {"levels": 2, "likelihood": "bernoulli", **VECTOR}),
    ((4, 5, 3), {"levels": 4, "condition": "spatial", "condition_size": 2}),
    ((4, 5, 1), {"levels": 4, "condition": "image", "code_size": 2, "encoder_features": 4}),
]
SMALL = {"features": 6, "layers": 2, "kernel_size": 3, "first_kernel_size": 3}
MAX_IMAGES = 8


def main(_):
    """Runs the campaign; returns 1 if a request did not end well."""
    from gated_pixelcnn.serving.versions import find

    folder = Path(tempfile.mkdtemp(prefix="requests-"))
    try:
        import_tensorflow_quietly()
        paths = make_models(folder) if not _SAVED_MODEL.value else [find(Path(_SAVED_MODEL.value))]
        outcomes, memory = collections.Counter(), 0
        for index, path in enumerate(paths):
            num = len(range(index, _NUM.value, len(paths)))
            found, more = campaign.run(path, facts_of(path), num, _SEED.value + index)
            outcomes += found
            memory = max(memory, more)
    finally:
        shutil.rmtree(folder)
    print(f"{'signature':24}" + "".join(f"{outcome:>10}" for outcome in campaign.OUTCOMES))
    for name in sorted({name for name, _ in outcomes}):
        counts = "".join(f"{outcomes[name, outcome]:10}" for outcome in campaign.OUTCOMES)
        print(f"{name:24}{counts}")
    valid = outcomes.total() - _NUM.value
    print(f"{_NUM.value} requests, --seed={_SEED.value}; {valid} valid ones before and after them")
    print(f"memory: at most {memory:.0f} MB more than the first valid requests took")
    return int(any(outcomes[key] for key in outcomes if key[1] not in campaign.GOOD))


def make_models(folder):
    """Exports small models; returns the paths of the SavedModels."""
    import gated_pixelcnn as gpc
    from gated_pixelcnn.runs.directory import checked_record, record
    from gated_pixelcnn.serving.export import write

    for index, (shape, arguments) in enumerate(MODELS):
        model = gpc.GatedPixelCNN(shape, **SMALL, **arguments)
        model.build()
        of_run = record(gpc.get_config("digits"), shape, model.levels, model.condition_size)
        write(model, checked_record(of_run), folder / str(index), MAX_IMAGES)
    return [folder / str(index) for index in range(len(MODELS))]


def facts_of(path):
    """image_shape, levels, condition_size and max_images of the model of a SavedModel."""
    from gated_pixelcnn.serving import facts

    known = facts.read(path)
    of_run = {name: known["run"][name] for name in ("image_shape", "levels")}
    return of_run | {name: known[name] for name in ("condition_size", "max_images")}


if __name__ == "__main__":
    run(main, load_tensorflow=False)
