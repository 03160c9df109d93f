"""Draws images from a trained model, or completes, colours or enlarges given ones.

python sample.py --workdir=runs/a --num=16
python sample.py --workdir=runs/a --label=all
python sample.py --workdir=runs/a --interpolate=bag,coat
python sample.py --workdir=runs/a --given=photo.png --keep_rows=14
python sample.py --workdir=runs/gray --colourise=photo.png --num=8
python sample.py --workdir=runs/pyramid --upscale=photo.png --num=8
python sample.py --workdir=runs/agave --per_latent=8
python sample.py --workdir=runs/ae10 --reconstruct=photos --beside=runs/ae100 --beside=runs/mse10
"""

import functools
import math
import os
import sys
import time

import numpy as np
from absl import flags

from gated_pixelcnn import cli, errors, files, visualization
from gated_pixelcnn.cli import tasks
from gated_pixelcnn.cli.labels import parse_labels
from gated_pixelcnn.cli.tasks.task import Flag, IntegerFlag, PathFlag, Trained, look_of
from gated_pixelcnn.code_maps import unpack_codes
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.limits import (
    LEAST_TEMPERATURE,
    METHODS,
    MOST_CHANNELS,
    MOST_REDUCTION,
    MOST_TEMPERATURE,
)
from gated_pixelcnn.progress import Progress

FLAGS = flags.FLAGS
# A program of XLA takes as long to compile as it saves in about so many batches of 64, see
# docs/results.md.
BATCHES_BEFORE_XLA = 4

OWN = (  # flags of all tasks
    IntegerFlag(
        "num",
        "Number of images to draw. Several labels or given images are taken in turn. By default "
        "16, or 8 for each of several labels, 8 to --interpolate, 4 per given image; with "
        "--per_latent as many as 4 rows hold.",
        least=1,
    ),
    IntegerFlag("seed", "The same seed gives the same images.", 0),
    Flag(
        "temperature",
        "Above 0; below 1 draws more probable images (of a model with latent variables: given "
        "these).",
        1.0,
        flags.DEFINE_float,
    ),
    Flag(
        "reduce_log_scale",
        "With a likelihood of logistics: subtract this from their log-scales (variance-reduced "
        "sampling).",
        0.0,
        functools.partial(flags.DEFINE_float, lower_bound=0.0),
    ),
    IntegerFlag(
        "top_k",
        "With a softmax likelihood: draw each value from the k most probable ones. 0: from all.",
        0,
        least=0,
    ),
    Flag(
        "top_p",
        "With a softmax likelihood: draw each value from the fewest most probable ones that have "
        "this probability together (nucleus sampling).",
        1.0,
        functools.partial(flags.DEFINE_float, lower_bound=0.0, upper_bound=1.0),
    ),
    Flag(
        "most_probable",
        "With a likelihood of logistics: draw the component only and take its most probable value.",
        False,
        flags.DEFINE_bool,
    ),
    PathFlag(
        "output",
        "PNG file for a grid of the images. By default samples/sample.png in the run's "
        "directory, or sample.png with --saved_model.",
        ending=".png",
    ),
    PathFlag(
        "npz",
        "npz file for the images, uint8 or uint16 [N, H, W, C], levels, labels or h, and of a "
        "model that draws in stages what it drew before: stage_1, stage_2, …; of two maps of codes "
        "also top and bottom. With --reconstruct: originals, and for every length m of a code "
        "mse_<m> and pixelcnn_<m> (for every λ f_<λ> and image_<λ>), image i drawn "
        "from original i mod their number.",
        ending=".npz",
    ),
    PathFlag(
        "gif",
        "GIF file that shows the images grow pixel by pixel; of several stages the last one.",
        ending=".gif",
    ),
    PathFlag(
        "tiles",
        "Of a model of categories: image file of a square tile for each category, row by row, that "
        "the grid is made of. By default every category has a colour of its own.",
    ),
    IntegerFlag("batch_size", "Images drawn at once.", 64, least=1),
    Flag(
        "jit",
        "Compile with XLA: seconds once, then faster. By default where more than "
        f"{BATCHES_BEFORE_XLA} batches are drawn.",
        None,
        flags.DEFINE_bool,
    ),
    Flag(
        "method",
        "Draw one of the pixels after the other, or all pixels of a row or of the image at once "
        "until none changes: the same images in fewer, larger steps.",
        "pixels",
        functools.partial(flags.DEFINE_enum, enum_values=METHODS),
    ),
)


def define_flags(values=None):
    """Defines the script's flags, as those of the command line or in other FlagValues."""
    values = FLAGS if values is None else values
    cli.define_model_flags(values)
    for flag in OWN:
        flag.define_in(values)
    tasks.define_flags(values)


def main(argv):
    """Runs the script; see the module."""
    cli.check_no_arguments(argv)
    cli.resolve_paths(FLAGS)
    _check_flags()
    task = tasks.choose(FLAGS)
    _check_label(task, cli.read_run(FLAGS))
    errors.import_tensorflow_quietly()
    from gated_pixelcnn.models.density_model import check_density_model

    model, record = cli.load_model(FLAGS, whole=task.whole)
    check_density_model(model)
    _check_options(model)
    if FLAGS.tiles and not model.image_spec.is_categorical:
        raise UserError("--tiles needs a model of categories (model.values=categorical)")
    look = look_of(FLAGS, model)
    wanted = task.prompts(FLAGS, model, Trained.of(record, FLAGS))
    for drawn_from, _ in wanted.requests(model):
        _check_options(drawn_from)
    output = FLAGS.output or os.path.join(
        *((FLAGS.workdir, "samples") if FLAGS.workdir else ()), "sample.png"
    )
    for name in filter(None, (output, FLAGS.npz, FLAGS.gif)):
        files.check_writable(name)

    start = time.perf_counter()
    requests = wanted.requests(model)
    drawn = [draw(*request, can_stop=len(requests) == 1) for request in requests]
    seconds = time.perf_counter() - start
    images = np.concatenate([stages[-1] for stages in drawn])
    if len(images) < wanted.num:
        wanted = wanted.first(len(images))
    print(f"{len(images)} images in {seconds:.1f} s ({len(images) / seconds:.1f} images/s)")
    _write(output, model, look, images, wanted, drawn[0][:-1] if wanted.keeps_stages else [])


def _check_flags():
    for flag in OWN:
        flag.check(FLAGS)
    if not 0 <= FLAGS.seed < 2**63:
        raise UserError(f"--seed must be at least 0 and at most 2^63 - 1, got {FLAGS.seed}")
    least, most = LEAST_TEMPERATURE, MOST_TEMPERATURE
    if not least <= FLAGS.temperature <= most:
        raise UserError(
            f"--temperature must be above 0 ({least:g} to {most:g}), got {FLAGS.temperature}"
        )
    if not 0 <= FLAGS.reduce_log_scale <= MOST_REDUCTION:
        allowed = f"0…{MOST_REDUCTION:g}"
        raise UserError(f"--reduce_log_scale must be {allowed}, got {FLAGS.reduce_log_scale}")
    if FLAGS.saved_model and FLAGS.jit:
        raise UserError("--jit needs --workdir: export.py --jit says it of an exported model")
    if FLAGS.saved_model and FLAGS.method != "pixels":
        raise UserError(
            f"--method={FLAGS.method} needs --workdir: an exported model draws by pixels"
        )
    if not 0 < FLAGS.top_p <= 1:
        raise UserError(f"--top_p must be above 0 and at most 1, got {FLAGS.top_p}")


def _check_label(task, record):
    """Raises a UserError for a label that is missing or wrong, as config.json tells already."""
    if record is None or not isinstance(task, tasks.Draw) or FLAGS.like:
        return
    if record["config"]["model"].get("condition") == "label":
        empty = record["data"].get("empty_classes", ())
        parse_labels(FLAGS.label, record["condition_size"], record["class_names"], empty)


def _check_options(model):
    """Raises a UserError for options of another likelihood than that of a model that draws."""
    if (FLAGS.most_probable or FLAGS.reduce_log_scale) and not model.draws_logistics:
        raise UserError(
            "--most_probable and --reduce_log_scale need --workdir of a model that draws from "
            "logistics (likelihood logistic or mixture)"
        )
    if (FLAGS.top_k or FLAGS.top_p < 1) and not model.draws_categories:
        raise UserError(
            "--top_k and --top_p need --workdir of a model that draws from a softmax (likelihood "
            "categorical or independent)"
        )
    if FLAGS.method not in model.methods:
        raise UserError(
            f"--method={FLAGS.method} is not for this model, which draws by "
            f"{' or '.join(model.methods)}"
        )


def draw(model, wanted, can_stop=False):
    """Draws from Prompts in batches; image i does not depend on how they are cut.

    Returns:
      List of integers [num, h, w, C]: all stages of a model that draws in stages, the images last.
      After Ctrl-C those that were drawn until then, if it `can_stop`.
    """
    num = wanted.num
    size = min(FLAGS.batch_size, num)
    how = {
        "seed": FLAGS.seed,
        "temperature": FLAGS.temperature,
        "jit": num > BATCHES_BEFORE_XLA * size if FLAGS.jit is None else FLAGS.jit,
        "method": FLAGS.method,
        "reduce_log_scale": FLAGS.reduce_log_scale,
        "most_probable": FLAGS.most_probable,
        "top_k": FLAGS.top_k,
        "top_p": FLAGS.top_p,
    }
    # The last batch is drawn in full and cut: another size would be traced (or compiled) anew.
    parts = [np.arange(first, first + size) % num for first in range(0, num, size)]
    batches, times, bar = [], [], Progress(seconds_between_lines=5, waits=True)
    try:
        for part in parts:
            stages = model.sample_stages(size, **wanted.arguments(part), **how)
            batches.append([np.asarray(stage) for stage in stages])
            times.append(time.monotonic())
            left = len(parts) - len(times)
            if left:
                # The first batch was traced, or compiled: its time tells nothing.
                each = (times[-1] - times[0]) / (len(times) - 1) if times[1:] else math.inf
                done = f"{len(batches) * size} of {num} images"
                bar.update(len(times) / len(parts), done, left * each)
    except KeyboardInterrupt:
        if not (batches and can_stop):
            raise
        bar.say(f"stopped: {len(batches) * size} of {num} images are there")
    finally:
        bar.clear()
    return [np.concatenate(stage)[:num] for stage in zip(*batches, strict=True)]


def _write(output, model, look, images, wanted, stages):
    """Writes the files that were asked for and prints their names."""
    shown = visualization.to_bytes(images, look)
    if stages and wanted.shown is None and not model.image_spec.is_categorical:
        before = zip(stages, model.stages, strict=False)  # without the last
        before = [visualization.enlarged(x, spec.levels, model.image_shape) for x, spec in before]
        shown = np.concatenate([*before, shown], axis=2)
    visualization.save_png(output, picture(shown, wanted))
    print(f"grid: {output}")
    if FLAGS.npz:
        number = len(model.stages) - len(stages)  # of the first one
        arrays = {f"stage_{i}": stage for i, stage in enumerate(stages, number)}
        arrays |= wanted.arrays(images)
        if "images" in arrays:  # that they can be given again
            arrays["levels"] = np.array(model.levels)
            if images.shape[-1] > MOST_CHANNELS:  # two maps of codes
                arrays |= zip(("top", "bottom"), unpack_codes(images), strict=True)
        with files.atomic_write(FLAGS.npz) as file:
            np.savez_compressed(file, **arrays)
        print(f"images: {FLAGS.npz}")
    if FLAGS.gif:
        frames = visualization.growing(images, look, wanted.known)
        visualization.save_gif(FLAGS.gif, (picture(frame, wanted) for frame in frames))
        print(f"animation: {FLAGS.gif}")


def picture(images, wanted):
    """Arranges bytes [N, H, W, C], drawn from Prompts, in a grid large enough to look at."""
    columns, height = None, images.shape[1]
    if wanted.rows:
        cells = wanted.cells(images)
        columns, images = cells.shape[1], cells.reshape(-1, *images.shape[1:])
    grid = visualization.grid(images, 256, columns, magnify=max(1, 96 // height))
    return grid if wanted.names is None else visualization.captioned(grid, wanted.names)


def run():
    """The entry point of sample.py and of the console command."""
    # What --help prints: this module's text, and its flags as those of the script.
    sys.modules["__main__"].__doc__ = __doc__
    flags.disclaim_key_flags()
    define_flags()
    errors.run(main, load_tensorflow=False)  # main does, when what is cheap was checked
