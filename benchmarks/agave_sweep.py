"""AGAVE (Lucas and Verbeek, 2018), its figures 3 to 9 at the size of a CPU.

    python benchmarks/agave_sweep.py --picture=docs/results/agave.png

Rows: the weight λ of the KL divergence, the levels of the auxiliary image y, and what y is (the
image, its half or quarter, or gray). Beside them the decoder alone, with the same batches,
optimizer and steps. Of every row: the bound and its terms, the auxiliary term in bits/dim of y, and
how far samples follow the f(z) that they were drawn from: nearest to their own among 64.
What is in docs/results is not made again, and an interrupted training goes on.
"""

import numpy as np
import trials
from absl import flags
from following import followed

from gated_pixelcnn.errors import UserError, run

FILE = "agave_sweep.json"
LAMBDAS = (1.0, 2.0, 4.0, 8.0, 12.0)
LEVELS = (32, 64)  # of y; 256 is the row of its λ
VIEWS = ("half", "quarter")  # of images without colours; of colours gray, too
SAMPLES = 64

_PRESET = flags.DEFINE_string("preset", "agave", "Preset of the model that is changed.")
_STEPS = flags.DEFINE_integer("steps", 2000, "Of each training.", lower_bound=1)
_TEST = flags.DEFINE_integer("test", 1000, "Held-out images.", lower_bound=2)
_PICTURE = flags.DEFINE_string("picture", "", "PNG file: f(z) and samples of each row.")


def rows():
    """{name: what differs from the preset's model}; None for the decoder alone."""
    found = {"decoder alone": None}
    found |= {f"λ = {weight:g}": {"kl_weight": weight} for weight in LAMBDAS}
    found |= {f"y of {levels} levels": {"auxiliary_levels": levels} for levels in LEVELS}
    found |= {f"y is the {view}": {"auxiliary": view} for view in VIEWS}
    return found


def settings_of(changes):
    """A trial, see `trials`."""
    from gated_pixelcnn import configs

    config = configs.get_config(_PRESET.value)
    model, train = config.model.to_dict(), config.train.to_dict()
    if changes is None:
        model = model["decoder"]
    else:
        model |= changes
    kept = ("batch_size", "optimizer", "learning_rate", "eval_batch_size")
    return {
        "model": model,
        "data": {"source": config.data.source, "flips": config.data.flips},
        "train": {key: train[key] for key in kept} | {"steps": _STEPS.value, "eval_images": 200},
        "seed": 0,
        "test": _TEST.value,
    }


def main(arguments):
    """Makes the table, and the picture if it is wanted."""
    if len(arguments) > 1:
        raise UserError(f"unknown argument {arguments[1]!r}")
    import gated_pixelcnn as gpc
    from gated_pixelcnn import visualization

    wanted = {f"{row}, seed 0": settings_of(changes) for row, changes in rows().items()}
    results, lines, cells = trials.make(wanted, FILE), [], []
    for name, result in results.items():
        row = name.partition(", seed")[0]
        line = [row, f"{result['parameters']:,}", f"{result['bits_per_dim']:.4f}"]
        if terms := result["terms"]:
            model = gpc.load(trials.directory_of(name, FILE) / "run", checkpoint="latest")
            shown, drawn, found = followed(model, SAMPLES)
            nearest = np.mean(found.argmax(axis=1) == np.arange(SAMPLES))
            line += [f"{value:.4f}" for value in terms.values()]
            line += [f"{result['details']['auxiliary_bits_per_dim']:.3f}", f"{nearest:.0%}"]
            pairs = np.stack([shown[:8], drawn[:8]], axis=1)
            cells.append(pairs.reshape(-1, *drawn.shape[1:]))
        lines.append(line + [""] * (7 - len(line)))
    titles = "row parameters bits/dim"
    trials.tell([*titles.split(), "image given z", "KL", "bits/dim of y", "nearest"], lines)
    if _PICTURE.value:
        picture = visualization.grid(np.concatenate(cells), 256, columns=16, magnify=2)
        names = [name for name, changes in rows().items() if changes is not None]
        visualization.save_png(_PICTURE.value, visualization.captioned(picture, names))


if __name__ == "__main__":
    run(main)
