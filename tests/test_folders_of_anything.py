"""Random folders: every image file is accounted for, or one sentence says what is wrong.

Sub-folders, names, links, formats, modes, sizes and damage are drawn by hypothesis: a few in the
suite, FOLDERS=1000 of them where the variable says so (see --hypothesis-show-statistics).
"""

import contextlib
import io
import os
import pathlib
import re
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest
from absl import flags
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from PIL import Image

from gated_pixelcnn import data
from gated_pixelcnn.cli import evaluate
from gated_pixelcnn.data import image_reading, photos
from gated_pixelcnn.errors import UserError

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
EXAMPLES = int(os.environ.get("FOLDERS", 50))

FORMATS = {
    "png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "tRNS"),
    "gif": ("L", "P", "RGB", "frames", "frames"),
    "jpg": ("L", "RGB", "CMYK", "turned"),
    "bmp": ("1", "L", "P", "RGB"),
    "webp": ("RGB", "RGBA", "frames"),
    "tiff": ("1", "L", "LA", "RGB", "RGBA", "CMYK", "F", "I", "frames", "turned"),
    "ppm": ("1", "L", "RGB"),
}
OF_NO_USE = ("I;16", "CMYK", "F", "I", "turned")  # these last change the size
FOLDERS = ("train", "Training", "val", "dev", "TEST", "testing", "a", "b", "1", "2", "10", "Ä b,'c")
FOLDERS += (".hidden", "@eaDir", "__MACOSX", "x.png", "train2017", "test_images")
NAMES = ("1", "2", "10", "a", "B", "ü 'x\"", "a, b", "._a", ".hidden", "no\nline")
ENDINGS = {"jpg": ("jpg", "JPEG", "jfif"), "ppm": ("ppm", "pgm", "pbm"), "tiff": ("tif", "TIFF")}


@st.composite
def image_files(draw, whole, top):
    """(name, what writes it), values below `top`; of one size and of use where `whole`."""
    kind = draw(st.sampled_from(sorted(FORMATS)))
    modes = [mode for mode in FORMATS[kind] if not (whole and mode in OF_NO_USE)]
    mode = draw(st.sampled_from(modes))
    size = (3, 2) if whole else draw(st.sampled_from([(3, 2)] * 6 + [(5, 4), (1, 1)]))
    damage = None if whole else draw(st.sampled_from([None] * 12 + ["empty", "cut", "text"]))
    seed = draw(st.integers(0, 9))
    ending = draw(st.sampled_from(ENDINGS.get(kind, (kind, kind.upper()))))
    name = f"{draw(st.sampled_from(NAMES))}.{ending}"
    return name, (kind, mode, size, damage, seed, top)


@st.composite
def trees(draw):
    """{path: what is there}: images, other files, links, empty folders."""
    # Else hardly any folder would be accepted, or refused for more than one reason.
    in_order, whole = draw(st.booleans()), draw(st.booleans())
    top = draw(st.sampled_from([256, 256, 256, 10, 2]))
    folders = st.sampled_from(FOLDERS)
    if in_order:
        deep = draw(st.sampled_from([["."], ["a", "b", "10"], ["train", "TEST"]]))
        deep = [f"{top}/{c}" for top in deep for c in "ab"] if draw(st.booleans()) else deep
    else:
        deep = draw(st.lists(st.lists(folders, max_size=3).map("/".join), min_size=1, max_size=4))
    found = {}
    for folder in deep:
        for name, what in draw(st.lists(image_files(whole, top), min_size=1, max_size=3)):
            found[f"{folder}/{name}"] = what
    for name in draw(st.lists(st.sampled_from(["notes.txt", "Thumbs.db", "a.heic", "a"]))):
        found[f"{draw(st.sampled_from(deep))}/{name}"] = "other"
    targets = ["nowhere", ".", "..", "link", "../a", *deep, *found]
    links = st.tuples(st.sampled_from(["link", "link.png", "c", "val"]), st.sampled_from(targets))
    for name, target in draw(st.lists(links, max_size=0 if in_order else 2)):
        found[f"{draw(st.sampled_from(deep))}/{name}"] = ("link", target)
    return found


def make(root, tree):
    for name, what in tree.items():
        path = root / name
        with contextlib.suppress(OSError):  # a name that is a folder's, too
            path.parent.mkdir(parents=True, exist_ok=True)
            if what == "other":
                path.write_bytes(b"x")
            elif what[0] == "link":
                path.symlink_to(os.path.relpath(root / what[1], path.parent))
            else:
                path.write_bytes(encoded(*what))


def encoded(kind, mode, size, damage, seed, top):
    """The bytes of an image file."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, top, (size[1], size[0], 3)).astype(np.uint8)
    image, options = Image.fromarray(pixels), {}
    if mode == "frames":
        options = {"save_all": True, "append_images": [Image.fromarray(255 - pixels)]}
    elif mode == "turned":
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = seed  # 0 and 9 are none
    elif mode == "tRNS":
        options["transparency"] = tuple(map(int, pixels[0, 0]))
    elif mode == "I;16":
        image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 200)
    elif mode in ("LA", "RGBA"):
        image = image.convert(mode)
        image.putalpha(99 if seed % 2 else 255)
    elif mode == "P":
        image = (image.convert("L") if seed % 2 else image).quantize(16)
    else:
        image = image.convert(mode)
    file = io.BytesIO()
    options |= {"lossless": True} if kind == "webp" else {}
    image.save(file, "JPEG" if kind == "jpg" else kind, **options)
    content = file.getvalue()
    cut = {"empty": b"", "cut": content[: len(content) // 2], "text": b"not an image"}
    return cut.get(damage, content)


OPTIONS = st.fixed_dictionaries(
    {
        "layout": st.sampled_from(["auto"] * 5 + ["splits", "classes", "flat"]),
        "alpha": st.sampled_from(["refuse", "drop", "white", "black"]),
        "frames": st.sampled_from(["refuse", "first", "all", "all"]),
        "levels": st.sampled_from([256, 256, 10, 2]),
        "grayscale": st.booleans(),
    }
)


def outcome(function):
    """(result, None) or (None, the sentence)."""
    try:
        return function(), None
    except UserError as error:
        return None, str(error)


def loaded(config, like=None):
    """The Data, and the images of each split with their labels."""
    bunch = data.load(config, like)
    splits = {"train": bunch.train, "validation": bunch.validation, "test": bunch.test}
    return bunch, {
        name: split.take(split.num_images) for name, split in splits.items() if split is not None
    }


def own_splits(parts):
    """The images of the source's own splits, each once."""
    names = ["train", "validation", "test"]
    unique = {id(parts[name][0]): parts[name][0] for name in names if name in parts}
    return list(unique.values())


def image_files_in(root):
    """The paths of all that ends like an image, through links that lead down, as a user sees it."""
    for folder, below, files in os.walk(root, followlinks=True):
        below[:] = [name for name in below if not leads_up(pathlib.Path(folder, name))]
        for name in files:
            if name.lower().endswith(image_reading.ENDINGS):
                yield pathlib.Path(folder, name).relative_to(root)


def leads_up(path):
    return (
        path.resolve() in path.parent.resolve().parents or path.resolve() == path.parent.resolve()
    )


def evaluated(config, bunch):
    """Data that evaluate.py loads for a run that was trained on the folder."""
    found = {name: None for name in ("source", "values", "alpha", "frames")}
    fields = {name: getattr(config, name) for name in config.__dataclass_fields__}
    record = {
        "config": {"data": fields},
        "class_names": list(bunch.class_names),
        "condition_names": [],
        "data": bunch.record(),
    }
    model = SimpleNamespace(image_shape=bunch.image_shape, levels=bunch.levels, condition_kind=None)
    values = flags.FlagValues()
    evaluate.FLAGS, before = values, evaluate.FLAGS
    try:
        evaluate.define_flags()
        values(["evaluate"])
        assert all(values[name].value is None for name in found)
        return evaluate._load_data(record, model), record
    finally:
        evaluate.FLAGS = before


@settings(
    max_examples=EXAMPLES,
    derandomize="FOLDERS" not in os.environ,
    deadline=None,
    suppress_health_check=CHECKS,
)
@given(tree=trees(), options=OPTIONS)
def test_every_image_is_accounted_for_and_all_readers_see_the_same(tree, options):
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory) / "folder"
        root.mkdir()
        make(root, tree)
        source = {"source": f"folder:{root}", "validation": 0}
        config = data.DataConfig(**source, **options)
        memory, why = outcome(lambda: loaded(config))
        streamed_config = data.DataConfig(**source, **options, memory_limit_mb=0)
        streamed, why_streamed = outcome(lambda: loaded(streamed_config))
        assert (why is None) == (why_streamed is None), (why, why_streamed)
        if why is not None:
            # One sentence, which is of this folder.
            assert str(root) in why and "\n" not in why, why
            event(f"refused: {kind_of(why, root)}")
            return
        kinds = {what[1] for what in tree.values() if what[0] in FORMATS}
        event(f"accepted, {memory[0].layout}, values {memory[0].values}")
        event(f"accepted, alpha={options['alpha']}", bool(kinds & {"LA", "RGBA", "tRNS"}))
        event(f"accepted, frames={options['frames']}", "frames" in kinds)
        bunch, parts = memory
        assert streamed[0].record() == bunch.record()
        assert streamed[0].info == bunch.info
        for name, (images, labels) in parts.items():
            np.testing.assert_array_equal(streamed[1][name][0], images)
            np.testing.assert_array_equal(streamed[1][name][1], labels)

        again, record = evaluated(config, bunch)
        for name, (images, labels) in parts.items():
            split = getattr(again, name)
            found = split.take(split.num_images)
            np.testing.assert_array_equal(found[0], images)
            np.testing.assert_array_equal(found[1], labels)

        check_accounts(root, bunch, options)
        check_given(root, bunch, record)


def kind_of(sentence, root):
    """The words of a sentence that tell what is wrong, without names and numbers."""
    return " ".join(re.findall("[a-z]{3,}", sentence.replace(str(root), ""))[:6])


def check_accounts(root, bunch, options):
    """Every image file is used, or it or a folder that it is in is named with the reason."""
    rules = data.DataConfig(**{k: options[k] for k in ("alpha", "frames")}).image_rules()
    used = 0
    for path in image_files_in(root):
        names = [str(path), *(str(parent) for parent in path.parents)]
        if reasons := [bunch.left_out[name] for name in names if name in bunch.left_out]:
            assert all(reasons)
        else:
            used += len(image_reading.inspect(root / path, rules))
    splits = {id(split): split for split in (bunch.train, bunch.validation, bunch.test) if split}
    assert used == sum(split.num_images for split in splits.values())


def check_given(root, bunch, record):
    """The images of a user are those of training; where a layout leaves some out, all."""
    flat = data.DataConfig(**record["config"]["data"] | {"layout": "flat", "labels": False})
    expected, why = outcome(lambda: data.load(flat).train.images)
    reading = photos.Reading.of(record, SimpleNamespace(values=None, alpha=None, frames=None))
    found, why_given = outcome(
        lambda: photos.read_images(root, bunch.image_shape, bunch.levels, reading)
    )
    if "not a split" in bunch.left_out.values() or "not in a split" in bunch.left_out.values():
        return  # what these hold need not fit
    assert why is None and why_given is None, (why, why_given)
    np.testing.assert_array_equal(found, expected)
    splits = {id(split): split for split in (bunch.train, bunch.validation, bunch.test) if split}
    trained = np.concatenate([split.images for split in splits.values()])
    assert sorted(map(bytes, found)) == sorted(map(bytes, trained))


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_every_kind_of_file_that_is_drawn_can_be_written(kind):
    for mode in FORMATS[kind]:
        assert encoded(kind, mode, (3, 2), None, 0, 256)
