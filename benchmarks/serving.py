"""Time of an exported SavedModel's signature `sample` against `model.sample`, and requests/s.

    python benchmarks/serving.py
    python benchmarks/serving.py --sizes=1

All in one process, calls in turn, medians. The graphs of a SavedModel run without XLA, or with it
where it was exported so (`jit`); the ratios are to `model.sample` with XLA and without. Threads ask
for images as clients at the same time do, each for its own seeds.
"""

import tempfile
import time
from concurrent import futures
from pathlib import Path

from absl import flags
from sampling import model_of

from gated_pixelcnn.errors import run

SIZES = [
    ("gated_pixelcnn 12x64", 16),
    ("gated_pixelcnn 12x64", 1),
    ("gated_pixelcnn 12x96", 16),
    ("gated_pixelcnn 8x32", 16),
    ("gated_pixelcnn 8x32", 1),
]

_COUNT = flags.DEFINE_integer("sizes", len(SIZES), "Only the first sizes.", lower_bound=1)
_REQUESTS = flags.DEFINE_integer("requests", 16, "Requests per number of threads.", lower_bound=1)
THREADS = (1, 2, 8)


def main(_):
    """Prints a row per size."""
    import machine
    import numpy as np

    print(machine.describe())
    head = ("exported", "with XLA", "sample", "no XLA", "exp./no XLA", "XLA/sample")
    print(f"{'model':24}{'batch':>6}" + "".join(f"{name:>12}" for name in head), end="")
    print("".join(f"{f'{threads} threads':>12}" for threads in THREADS) + "  (requests/s)")
    for name, batch in SIZES[: _COUNT.value]:
        model = model_of(name)
        with tempfile.TemporaryDirectory(prefix="serving-") as folder:
            exports = {jit: exported(model, Path(folder) / str(jit), jit) for jit in (False, True)}

        def request(seed, jit=False):
            how = {"seed": np.int64(seed), "temperature": np.float32(1), "num": np.int32(batch)}  # noqa: B023
            return exports[jit].signatures["sample"](**how)["images"]  # noqa: B023

        took = machine.alternate(
            {
                "exported": lambda: request(0),  # noqa: B023
                "with XLA": lambda: request(0, True),  # noqa: B023
                "sample": lambda: model.sample(batch),  # noqa: B023
                "no XLA": lambda: model.sample(batch, jit=False),  # noqa: B023
            },
            flags.FLAGS.repeats,  # of sampling.py
        )
        seconds = "".join(f"{second:11.3f}s" for second in took.values())
        ratios = took["exported"] / took["no XLA"], took["with XLA"] / took["sample"]
        print(
            f"{name:24}{batch:6}{seconds}" + "".join(f"{ratio:12.2f}" for ratio in ratios), end=""
        )
        rates = (per_second(request, threads, _REQUESTS.value) for threads in THREADS)
        print("".join(f"{rate:12.2f}" for rate in rates), flush=True)


def exported(model, path, jit):
    """The model after a round trip through a SavedModel."""
    import gated_pixelcnn as gpc
    from gated_pixelcnn.runs.directory import checked_record, record
    from gated_pixelcnn.serving.export import write

    config = gpc.get_config("mnist")
    known = checked_record(record(config, model.image_shape, model.levels, 0))
    write(model, known, path, jit=jit)
    return gpc.load_saved_model(path)


def per_second(request, threads, num):
    """Requests per second that so many threads get answered."""
    with futures.ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        for answer in pool.map(request, range(num)):
            answer.numpy()
        return num / (time.perf_counter() - start)


if __name__ == "__main__":
    run(main)
