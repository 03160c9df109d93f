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

import os
import sys
import time

import numpy as np
from absl import flags

from gated_pixelcnn import cli, errors, files, visualization
from gated_pixelcnn.cli.tasks import reconstruct
from gated_pixelcnn.cli.tasks.draw import prompts, resizing
from gated_pixelcnn.cli.tasks.interpolate import WAYS
from gated_pixelcnn.data import photos
from gated_pixelcnn.errors import UserError

FLAGS = flags.FLAGS


def define_flags():
    """Defines the script's flags."""
    cli.define_model_flags(FLAGS)
    flags.DEFINE_integer(
        "num",
        None,
        "Number of images to draw. Several labels or given images are taken in turn. By default "
        "16, or 8 per label, or 4 per given image; with --per_latent as many as 4 rows hold.",
        flag_values=FLAGS,
    )
    flags.DEFINE_string(
        "label",
        None,
        "Classes to draw: a number or a name, several with commas between them, or 'all'; one row "
        "of the grid for each.",
        flag_values=FLAGS,
    )
    cli.define_path(
        "like",
        "For a model conditioned on an image, or with latent numbers: an image file, a directory, "
        "or an npz file with an array images; one row of the grid for each.",
        FLAGS,
    )
    flags.DEFINE_integer(
        "per_latent",
        None,
        "For a model with latent numbers (vae, agave): draw so many images from each z, beside "
        "f(z); one row of the grid for each z.",
        flag_values=FLAGS,
    )
    flags.DEFINE_multi_string(
        "interpolate",
        None,
        "Two classes or image files with a comma between them: a row of images from one to the "
        "other, all with the same random numbers; of a model with latent numbers also two numbers, "
        "each of a z. Again for another row.",
        flag_values=FLAGS,
    )
    flags.DEFINE_enum(
        "path",
        "linear",
        list(WAYS),
        "How --interpolate goes from one to the other.",
        flag_values=FLAGS,
    )
    flags.DEFINE_integer("seed", 0, "The same seed gives the same images.", flag_values=FLAGS)
    flags.DEFINE_float(
        "temperature",
        1.0,
        "Above 0; below 1 draws likelier images (of a model with latent numbers: given these).",
        flag_values=FLAGS,
    )
    flags.DEFINE_float(
        "reduce_log_scale",
        0.0,
        "With a likelihood of logistics: subtract this from their log-scales (variance-reduced "
        "sampling).",
        lower_bound=0.0,
        flag_values=FLAGS,
    )
    flags.DEFINE_bool(
        "map",
        False,
        "With a likelihood of logistics: draw the component only and take its most probable value.",
        flag_values=FLAGS,
    )
    cli.define_path(
        "given",
        "Images to complete: an image file, a directory, or an npz file with an array images.",
        FLAGS,
    )
    flags.DEFINE_integer(
        "keep_rows", None, "How many rows of the given images are kept.", flag_values=FLAGS
    )
    cli.define_path(
        "mask",
        "Image file, white where the given images are kept, black where they are drawn. A pixel is "
        "drawn given those above it and at its left: what is kept below it does not influence it "
        "(README.md, Completing images).",
        FLAGS,
    )
    cli.define_path(
        "colourise",
        "For a Grayscale PixelCNN, images to colour, gray ones or the gray view of coloured ones: "
        "an image file, a directory, or an npz file with an array images.",
        FLAGS,
    )
    cli.define_path(
        "upscale",
        "For a multi-scale model or a Pyramid PixelCNN, small images to enlarge, of the size of "
        "one of its stages: an image file, a directory, or an npz file with an array images.",
        FLAGS,
    )
    flags.DEFINE_bool(
        "resize",
        False,
        "Prepare larger image files as those of training: cut to their middle and averaged down to "
        "the size that is needed; a --mask, too.",
        flag_values=FLAGS,
    )
    cli.define_reading_flags(FLAGS)
    cli.define_path(
        "reconstruct",
        "For autoencoders: an image file, a directory, or an npz file with an array images. For "
        "every length m of a code and every image a row: the image, what a decoder trained for the "
        "squared error makes of its code (if such a run is given by --beside), and images drawn "
        "from it. For models with latent numbers for every λ and every image: the image, f(z), and "
        "images drawn from z. --num of them are drawn by each model, 4 per image by default; of "
        f"more than {reconstruct.MOST} images the first are taken.",
        FLAGS,
    )
    cli.define_path(
        "beside",
        "With --reconstruct: the directory of the run of another autoencoder, with codes of "
        "another length or trained for the squared error, or with another λ (model.kl_weight). "
        "Again for another one.",
        FLAGS,
        multi=True,
    )
    cli.define_path(
        "output",
        "PNG file for a grid of the images. By default samples/sample.png in the run's "
        "directory, or sample.png with --saved_model.",
        FLAGS,
    )
    cli.define_path(
        "npz",
        "npz file for the images, uint8 [N, H, W, C], levels, labels, and of a model that draws in "
        "stages what it drew before: stage_1, the simplest of all, stage_2, …. With --reconstruct: "
        "originals, and for every length m of a code mse_<m> and pixelcnn_<m> (for every λ f_<λ> "
        "and image_<λ>), image i drawn from original i mod their number.",
        FLAGS,
    )
    cli.define_path(
        "gif",
        "GIF file that shows the images grow pixel by pixel; of several stages the last one.",
        FLAGS,
    )
    flags.DEFINE_integer("batch_size", 64, "Images drawn at once.", flag_values=FLAGS)
    flags.DEFINE_bool(
        "jit", True, "Compile with XLA: seconds once, then faster.", flag_values=FLAGS
    )


def main(argv):
    """Runs the script; see the module."""
    from gated_pixelcnn.models.density_model import check_density_model

    cli.check_no_arguments(argv)
    cli.resolve_paths(FLAGS)
    _check_flags()
    # What is drawn from a given view may do without a prior: `prompts` looks.
    model, record = cli.load_model(FLAGS, whole=not (FLAGS.colourise or FLAGS.upscale))
    check_density_model(model)
    if (FLAGS.map or FLAGS.reduce_log_scale) and not model.draws_logistics:
        raise UserError(
            "--map and --reduce_log_scale need --workdir of a model that draws from logistics "
            "(likelihood logistic or mixture)"
        )
    reading = photos.Reading.of(record, FLAGS, resizing(FLAGS))
    if FLAGS.reconstruct:
        wanted = reconstruct.reconstructions(FLAGS, model, reading)
        models = wanted.models.values()
    else:
        empty = record["data"].get("empty_classes", ())
        wanted, models = prompts(FLAGS, model, record["class_names"], reading, empty), [model]
    output = FLAGS.output or os.path.join(
        *((FLAGS.workdir, "samples") if FLAGS.workdir else ()), "sample.png"
    )
    for path in filter(None, (output, FLAGS.npz, FLAGS.gif)):
        files.check_writable(path)

    start = time.perf_counter()
    stages = [draw(each, wanted.of(each)) for each in models]
    seconds = time.perf_counter() - start
    images = np.concatenate([drawn[-1] for drawn in stages])
    print(f"{len(images)} images in {seconds:.1f} s ({len(images) / seconds:.1f} images/s)")
    _write(output, model, images, wanted, [] if FLAGS.reconstruct else stages[0][:-1])


def _check_flags():
    from gated_pixelcnn.models.density_model import LEAST_TEMPERATURE, MOST_TEMPERATURE

    cli.check_at_least(1, num=FLAGS.num, batch_size=FLAGS.batch_size, per_latent=FLAGS.per_latent)
    if not 0 <= FLAGS.seed < 2**63:
        raise UserError(f"--seed must be at least 0 and at most 2^63 - 1, got {FLAGS.seed}")
    least, most = LEAST_TEMPERATURE, MOST_TEMPERATURE
    if not least <= FLAGS.temperature <= most:
        raise UserError(
            f"--temperature must be above 0 ({least:g} to {most:g}), got {FLAGS.temperature}"
        )
    if FLAGS.given and (FLAGS.keep_rows is None) == (FLAGS.mask is None):
        raise UserError("--given needs either --keep_rows or --mask: which part of it is kept")
    if not FLAGS.given and (FLAGS.keep_rows is not None or FLAGS.mask):
        raise UserError("--keep_rows and --mask need --given, the images to complete")
    images = ("given", "like", "interpolate", "colourise", "upscale", "reconstruct")
    if FLAGS.resize and not any(FLAGS[name].value for name in images):
        raise UserError(f"--resize needs images: one of --{', --'.join(images)}")
    if FLAGS.beside and not FLAGS.reconstruct:
        raise UserError("--beside needs --reconstruct, the images that all the runs reconstruct")
    for name, ending in (("output", ".png"), ("npz", ".npz"), ("gif", ".gif")):
        if FLAGS[name].value and not FLAGS[name].value.lower().endswith(ending):
            raise UserError(f"--{name} must end in {ending}, got {FLAGS[name].value}")


def draw(model, wanted):
    """Draws images in batches; image i does not depend on how they are cut.

    Args:
      model: a density model.
      wanted: Prompts.

    Returns:
      List of uint8 [num, h, w, C]: what a model that draws in stages drew before the images, and
      the images [num, H, W, C].
    """
    num = wanted.num
    size = min(FLAGS.batch_size, num)
    batches = []
    for first in range(0, num, size):
        # The last batch is drawn in full and cut: another size would be traced (or compiled) anew.
        part = np.arange(first, first + size) % num
        how = {
            "condition": None if wanted.condition is None else wanted.condition[part],
            "seed": FLAGS.seed,
            "temperature": FLAGS.temperature,
            "streams": wanted.streams[part],
            "jit": FLAGS.jit,
            "reduce_log_scale": FLAGS.reduce_log_scale,
            "most_probable": FLAGS.map,
        }
        if wanted.given is not None:
            how |= {"given": wanted.given[part], "known": wanted.known}
        stage = wanted.view if wanted.latents is None else wanted.latents
        stage = None if stage is None else stage[part]
        batches.append(model.sample_stages(size, stage=stage, **how))
    return [np.concatenate(stage)[:num] for stage in zip(*batches, strict=True)]


def _write(output, model, images, wanted, stages):
    """Writes the files that were asked for and prints their names."""
    shown = visualization.to_bytes(images, model.levels)
    if stages and wanted.shown is None:
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
        with files.atomic_write(FLAGS.npz) as file:
            np.savez_compressed(file, **arrays)
        print(f"images: {FLAGS.npz}")
    if FLAGS.gif:
        frames = visualization.growing(images, model.levels, wanted.known)
        visualization.save_gif(FLAGS.gif, (picture(frame, wanted) for frame in frames))
        print(f"animation: {FLAGS.gif}")


def picture(images, wanted):
    """Arranges images in a grid that is large enough to look at.

    Args:
      images: what was drawn, uint8 [N, H, W, C], values 0…255; wider with what was drawn before.
      wanted: the Prompts that they were drawn from, each of which has a row.

    Returns:
      uint8 [height, width, 1 or 3].
    """
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
    errors.run(main)
