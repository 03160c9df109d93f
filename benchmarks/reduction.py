"""Variance-reduced and MAP sampling (Kolesnikov and Lampert, 2017, figure 5) as one picture.

    python benchmarks/reduction.py --workdir=runs/gray --output=docs/results/reduction.png

A row for every δ that is subtracted from the log-scales of the logistics, and one of the most
probable values of the drawn components (MAP); all rows of the same random numbers. Printed is the
mean difference of neighbouring pixels, in levels: what the narrower distributions take away.
"""

import numpy as np
from absl import flags

from gated_pixelcnn.errors import UserError, run

_WORKDIR = flags.DEFINE_string("workdir", None, "Directory of the run.", required=True)
_OUTPUT = flags.DEFINE_string("output", "reduction.png", "PNG file.")
_DELTAS = flags.DEFINE_list("deltas", ["0", "0.2", "0.4", "0.6", "0.8", "1"], "Subtracted.")
_NUM = flags.DEFINE_integer("num", 8, "Images of each row.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the draws.")


def roughness(images):
    """Mean difference of neighbouring pixels, in levels."""
    images = np.asarray(images, np.float64)
    return np.mean([np.abs(np.diff(images, axis=axis)).mean() for axis in (1, 2)])


def main(arguments):
    """Draws the rows."""
    if len(arguments) > 1:
        raise UserError(f"unknown argument {arguments[1]!r}")
    try:
        deltas = [float(delta) for delta in _DELTAS.value]
    except ValueError as error:
        raise UserError(f"--deltas must be numbers ({error})") from error
    import gated_pixelcnn as gpc
    from gated_pixelcnn import visualization

    model = gpc.load(_WORKDIR.value)
    if not model.draws_logistics:
        raise UserError(f"{_WORKDIR.value} does not draw from logistics")
    condition = None
    if model.condition_kind == "label":
        condition = np.arange(_NUM.value) % model.condition_size
    rows = {f"delta = {delta:g}": {"reduce_log_scale": delta} for delta in deltas}
    rows["MAP"] = {"most_probable": True}
    drawn = []
    for name, how in rows.items():
        images = model.sample(_NUM.value, condition, _SEED.value, **how)
        drawn.append(visualization.to_bytes(images, model.levels))
        print(f"{name:<12}{roughness(images):.2f} levels between neighbours")
    picture = visualization.grid(np.concatenate(drawn), 256, _NUM.value, magnify=2)
    visualization.save_png(_OUTPUT.value, visualization.captioned(picture, list(rows)))


if __name__ == "__main__":
    run(main)
