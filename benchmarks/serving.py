"""Time of an exported SavedModel's signature `sample` against `model.sample`, and requests/s.

    python benchmarks/serving.py
    python benchmarks/serving.py --sizes=1 --repeats=3

All in one process, calls in turn, medians. The graphs of a SavedModel run without XLA, so the ratio
is to `model.sample` with it (`jit`) and without. Threads ask for images as clients at the same time
do, each for its own seeds.
"""

import tempfile
import time
from concurrent import futures
from pathlib import Path

from absl import flags
from sampling import SIZES

from gated_pixelcnn.errors import run

_COUNT = flags.DEFINE_integer("sizes", len(SIZES), "Only the first sizes.", lower_bound=1)
_REQUESTS = flags.DEFINE_integer("requests", 16, "Requests per number of threads.", lower_bound=1)
THREADS = (1, 2, 8)


def main(_):
    """Prints a row per size."""
    import machine
    import numpy as np

    import gated_pixelcnn as gpc

    print(machine.describe())
    head = ("exported", "sample", "no XLA", "exp./sample", "exp./no XLA")
    print(f"{'model':24}{'batch':>6}" + "".join(f"{name:>12}" for name in head), end="")
    print("".join(f"{f'{threads} threads':>12}" for threads in THREADS) + "  (requests/s)")
    for name, batch, shape, arguments in SIZES[: _COUNT.value]:
        model = gpc.GatedPixelCNN(shape, **arguments)
        model.build()
        with tempfile.TemporaryDirectory(prefix="serving-") as folder:
            loaded = exported(model, Path(folder) / "1")
        signature = loaded.signatures["sample"]

        def request(seed):
            how = {"seed": np.int64(seed), "temperature": np.float32(1), "num": np.int32(batch)}  # noqa: B023
            return signature(**how)["images"]  # noqa: B023

        took = machine.alternate(
            {
                "exported": lambda: request(0),  # noqa: B023
                "sample": lambda: model.sample(batch),  # noqa: B023
                "no XLA": lambda: model.sample(batch, jit=False),  # noqa: B023
            },
            flags.FLAGS.repeats,  # of sampling.py
        )
        seconds = "".join(f"{second:11.3f}s" for second in took.values())
        ratios = (took["exported"] / took[other] for other in ("sample", "no XLA"))
        print(
            f"{name:24}{batch:6}{seconds}" + "".join(f"{ratio:12.2f}" for ratio in ratios), end=""
        )
        rates = (per_second(request, threads, _REQUESTS.value) for threads in THREADS)
        print("".join(f"{rate:12.2f}" for rate in rates), flush=True)


def exported(model, path):
    """The model after a round trip through a SavedModel."""
    import gated_pixelcnn as gpc
    from gated_pixelcnn.runs.directory import checked_record, record
    from gated_pixelcnn.serving.export import write

    config = gpc.get_config("mnist")
    write(model, checked_record(record(config, model.image_shape, model.levels, 0)), path)
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
