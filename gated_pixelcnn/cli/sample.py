"""Draws images from a trained model, or completes given ones.

python sample.py --workdir=runs/a --num=16
python sample.py --workdir=runs/a --label=all
python sample.py --workdir=runs/a --given=photo.png --keep_rows=14
"""

import math
import os
import sys
import time

import numpy as np
from absl import flags

from gated_pixelcnn import cli, errors
from gated_pixelcnn import images as pictures
from gated_pixelcnn.errors import UserError, nearest

FLAGS = flags.FLAGS
TEMPERATURES = (1e-6, 1e6)  # Beyond them float32 is left with 0 or infinity.


def define_flags():
    """Defines the script's flags."""
    flags.DEFINE_string("workdir", None, "Directory of the run.", flag_values=FLAGS)
    flags.DEFINE_string(
        "saved_model",
        None,
        "Instead of a run: the directory that export.py wrote. A SavedModel is a program: take it "
        "from people you trust only.",
        flag_values=FLAGS,
    )
    flags.DEFINE_integer(
        "num",
        None,
        "Number of images to draw. Several labels or given images are taken in turn. By default "
        "16, or 8 per label, or 4 per given image.",
        flag_values=FLAGS,
    )
    flags.DEFINE_string(
        "label",
        None,
        "Classes to draw: a number or a name, several with commas between them, or 'all'; one row "
        "of the grid for each.",
        flag_values=FLAGS,
    )
    flags.DEFINE_integer("seed", 0, "The same seed gives the same images.", flag_values=FLAGS)
    flags.DEFINE_float(
        "temperature", 1.0, "Above 0; below 1 draws likelier images.", flag_values=FLAGS
    )
    flags.DEFINE_string(
        "given",
        None,
        "Images to complete: an image file, a directory, or an npz file with an array images.",
        flag_values=FLAGS,
    )
    flags.DEFINE_integer(
        "keep_rows", None, "How many rows of the given images are kept.", flag_values=FLAGS
    )
    flags.DEFINE_string(
        "mask",
        None,
        "Image file, white where the given images are kept, black where they are drawn.",
        flag_values=FLAGS,
    )
    flags.DEFINE_string(
        "output",
        None,
        "PNG file for a grid of the images. By default samples/sample.png in the run's "
        "directory, or sample.png with --saved_model.",
        flag_values=FLAGS,
    )
    flags.DEFINE_string(
        "npz", None, "npz file for the images, uint8 [N, H, W, C], and labels.", flag_values=FLAGS
    )
    flags.DEFINE_string(
        "gif", None, "GIF file that shows the images grow pixel by pixel.", flag_values=FLAGS
    )
    flags.DEFINE_integer("batch_size", 64, "Images drawn at once.", flag_values=FLAGS)
    flags.DEFINE_bool(
        "jit", True, "Compile with XLA: seconds once, then faster.", flag_values=FLAGS
    )


def main(argv):
    """Runs the script; see the module."""
    cli.check_no_arguments(argv)
    _check_flags()
    model, record = cli.load_model(FLAGS.workdir, FLAGS.saved_model)
    labels = parse_labels(FLAGS.label, model, record["class_names"])
    given, known = _read_given(model)
    rows, per_row = _rows(labels, given)
    num = FLAGS.num or (rows or 1) * per_row
    rows = rows and min(rows, num)
    in_turn = np.arange(num)
    if labels is not None:
        labels = np.array(labels, np.int32)[in_turn % len(labels)]
    if given is not None:
        given = given[in_turn % len(given)]
    output = FLAGS.output or os.path.join(
        *((FLAGS.workdir, "samples") if FLAGS.workdir else ()), "sample.png"
    )
    for path in filter(None, (output, FLAGS.npz, FLAGS.gif)):
        pictures.check_writable(path)

    start = time.perf_counter()
    images = draw(model, num, labels, given, known)
    seconds = time.perf_counter() - start
    print(f"{num} images in {seconds:.1f} s ({num / seconds:.1f} images/s)")
    _write(output, model, images, labels, (given, known), rows)


def _check_flags():
    cli.check_at_least(1, num=FLAGS.num, batch_size=FLAGS.batch_size)
    if not 0 <= FLAGS.seed < 2**63:
        raise UserError(f"--seed must be at least 0 and at most 2^63 - 1, got {FLAGS.seed}")
    least, most = TEMPERATURES
    if not least <= FLAGS.temperature <= most:
        raise UserError(
            f"--temperature must be above 0 ({least:g} to {most:g}), got {FLAGS.temperature}"
        )
    if FLAGS.given and (FLAGS.keep_rows is None) == (FLAGS.mask is None):
        raise UserError("--given needs either --keep_rows or --mask: which part of it is kept")
    if not FLAGS.given and (FLAGS.keep_rows is not None or FLAGS.mask):
        raise UserError("--keep_rows and --mask need --given, the images to complete")
    for name, ending in (("output", ".png"), ("npz", ".npz"), ("gif", ".gif")):
        if FLAGS[name].value and not FLAGS[name].value.lower().endswith(ending):
            raise UserError(f"--{name} must end in {ending}, got {FLAGS[name].value}")


def parse_labels(text, model, class_names=()):
    """Reads --label.

    Args:
      text: "all", or numbers or names of classes, with commas between them; None if not given.
      model: the model that is to be conditioned on them.
      class_names: names of the classes in the order of their numbers, or none.

    Returns:
      List of labels, or None for an unconditional model.

    Raises:
      UserError: a label that is not known, missing, or not wanted.
    """
    if model.condition_kind is None:
        if text is not None:
            raise UserError("--label is not possible: this model was trained without labels")
        return None
    if model.condition_kind != "label":
        raise UserError(
            f"this model is conditioned on a {model.condition_kind}, which sample.py cannot give; "
            "use model.sample(condition=...) in Python"
        )
    classes = model.condition_size
    if text is None:
        raise UserError(
            f"this model is conditioned on the class: give --label=0…{classes - 1}, several as in "
            "--label=0,1, or --label=all"
        )
    if text == "all":
        return list(range(classes))
    names = {name.lower(): index for index, name in enumerate(class_names)}
    return [_parse_label(word.strip(), classes, names) for word in text.split(",")]


def _parse_label(word, classes, names):
    if word.lower() in names:
        return names[word.lower()]
    try:
        label = int(word)
    except ValueError:
        hint = nearest(word, names) if names else ""
        raise UserError(
            f"--label={word} is neither a number 0…{classes - 1} nor the name of a class{hint}"
        ) from None
    if not 0 <= label < classes:
        raise UserError(f"--label={label} is out of range: the classes are 0…{classes - 1}")
    return label


def _read_given(model):
    """Returns the images to complete and which values are kept, or (None, None)."""
    if not FLAGS.given:
        return None, None
    given = pictures.read_images(FLAGS.given, model.image_shape, model.levels)
    if FLAGS.mask:
        return given, pictures.read_mask(FLAGS.mask, model.image_shape)
    height, width = model.image_shape[:2]
    if not 0 <= FLAGS.keep_rows <= height:
        raise UserError(f"--keep_rows must be 0…{height}, got {FLAGS.keep_rows}")
    kept = np.arange(height)[:, None, None] < FLAGS.keep_rows
    return given, np.broadcast_to(kept, (height, width, 1))


def _rows(labels, given):
    """Number of rows of the grid, if something is taken in turn, and of images in each."""
    if given is not None:
        return len(given), 4
    return (len(labels), 8) if labels is not None and len(labels) > 1 else (None, 16)


def draw(model, num, labels=None, given=None, known=None):
    """Draws images in batches; image i does not depend on how they are cut.

    Args:
      model: a density model.
      num: number of images.
      labels: one for each image, or None.
      given: images to complete [num, H, W, C], or None.
      known: booleans [H, W, 1]: where they are kept.

    Returns:
      uint8 [num, H, W, C].
    """
    size = min(FLAGS.batch_size, num)
    batches = []
    for first in range(0, num, size):
        # The last batch is drawn in full and cut: another size would be traced (or compiled) anew.
        rows = np.arange(first, first + size) % num
        batches.append(
            model.sample(
                size,
                condition=None if labels is None else labels[rows],
                seed=FLAGS.seed,
                temperature=FLAGS.temperature,
                given=None if given is None else given[rows],
                known=known,
                first=first,
                jit=FLAGS.jit,
            )
        )
    return np.concatenate([np.asarray(batch) for batch in batches])[:num]


def _write(output, model, images, labels, prompts, rows):
    """Writes the files that were asked for and prints their names."""
    given, known = prompts
    if given is not None:
        given = np.where(known, pictures.to_bytes(given, model.levels), pictures.UNDRAWN)[:rows]

    pictures.save_png(output, picture(pictures.to_bytes(images, model.levels), rows, given))
    print(f"grid: {output}")
    if FLAGS.npz:
        arrays = {"images": images} if labels is None else {"images": images, "labels": labels}
        with pictures.written_aside(FLAGS.npz) as file:
            np.savez_compressed(file, **arrays)
        print(f"images: {FLAGS.npz}")
    if FLAGS.gif:
        frames = pictures.growing(images, model.levels, known)
        pictures.save_gif(FLAGS.gif, (picture(frame, rows, given) for frame in frames))
        print(f"animation: {FLAGS.gif}")


def picture(images, rows=None, given=None):
    """Arranges images in a grid that is large enough to look at.

    Args:
      images: uint8 [N, H, W, C], values 0…255.
      rows: number of labels or given images that were taken in turn, each of which gets a row; None
        for a grid that is about square.
      given: uint8 [rows, H, W, C] for a column at the left, or None.

    Returns:
      uint8 [height, width, 1 or 3].
    """
    num, height, width, _ = images.shape
    columns = None
    if rows:
        columns = math.ceil(num / rows)
        cells = np.full((columns * rows, *images.shape[1:]), pictures.UNDRAWN, np.uint8)
        cells[:num] = images
        cells = cells.reshape(columns, rows, *images.shape[1:]).swapaxes(0, 1)
        if given is not None:
            cells = np.concatenate([given[:, None], cells], axis=1)
            columns += 1
        images = cells.reshape(-1, *images.shape[1:])
    return pictures.grid(images, 256, columns, magnify=max(1, 96 // max(height, width)))


def run():
    """The entry point of sample.py and of the console command."""
    # What --help prints: this module's text, and its flags as those of the script.
    sys.modules["__main__"].__doc__ = __doc__
    flags.disclaim_key_flags()
    define_flags()
    errors.run(main)
