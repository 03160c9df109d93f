"""Vectors, tags and maps that come with the images: npz, folders, TFDS."""

import json

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from small_data import bytes_of, write_npz

from gated_pixelcnn import data
from gated_pixelcnn.data.batches import input_error
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation.images import split_batches

IMAGES = bytes_of((8, 4, 6))
VECTORS = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)


def load(source, condition="vector", **options):
    options = {"validation": 0} | options
    return data.load(data.DataConfig(source=source, **options), condition=condition)


def describe(source, condition="vector", **options):
    config = data.DataConfig(source=source, validation=0, **options)
    return data.describe(config, condition)


def pairs(batches):
    """{first pixel of an image: its condition}."""
    return {int(x[0, 0, 0]): c for images, cs in batches for x, c in zip(images, cs, strict=True)}


def numbered(num, shape=(4, 6, 1)):
    """Images whose first pixel is their number."""
    images = np.random.default_rng(1).integers(0, 256, (num, *shape)).astype(np.uint8)
    images[:, 0, 0, 0] = np.arange(num)
    return images


def test_vectors_of_an_npz_file_stay_with_their_images(tmp_path):
    images, vectors = numbered(30), np.arange(30)[:, None] + np.float64([[0.5, 0.25]])
    source = write_npz(tmp_path / "a.npz", x_train=images, h_train=vectors, h_names=["a", "b"])
    bunch = load(source, validation=10)
    assert (bunch.condition_size, bunch.condition_names) == (2, ("a", "b"))
    assert bunch.info == describe(source)
    assert (bunch.train.has_labels, bunch.train.condition_shape) == (False, (2,))
    found = pairs(split_batches(bunch.train, 7)) | pairs(split_batches(bunch.validation, 7))
    assert sorted(found) == list(range(30))
    for number, vector in found.items():
        np.testing.assert_array_equal(vector, np.float32(vectors[number]))
    shuffled = bunch.train.train_batches(5, seed=3).take(9)
    for number, vector in pairs(shuffled).items():
        np.testing.assert_array_equal(vector, np.float32(vectors[number]))
    assert any("a, b" in line for line in bunch.report())


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16])
def test_tags_of_any_numeric_type_are_numbers(tmp_path, dtype):
    tags = (VECTORS > 0).astype(dtype)
    source = write_npz(tmp_path / "a.npz", x_train=IMAGES, tags_train=tags)
    bunch = load(source, condition_feature="tags")
    _, found = bunch.train.take(8)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, VECTORS > 0)


def test_labels_stay_out_of_the_way_of_vectors(tmp_path):
    arrays = {"x_train": IMAGES, "y_train": np.arange(8), "h_train": VECTORS}
    source = write_npz(tmp_path / "a.npz", **arrays)
    assert load(source).class_names == ()
    labelled = load(source, condition="label")
    assert labelled.train.has_labels and labelled.condition_size == 0
    assert list(labelled.left_out) == ["h_train"]


@pytest.mark.parametrize("options", [{"flips": True}, {"patch": 3}])
def test_maps_are_cut_and_mirrored_as_their_images(tmp_path, options):
    images = bytes_of((6, 4, 6, 1), 2)
    maps = np.concatenate([images, 255 - images], axis=-1) / 255
    source = write_npz(tmp_path / "a.npz", x_train=images, h_train=maps)
    bunch = load(source, "spatial", patch=options.get("patch", 0))
    flips = "flips" in options
    trained = list(bunch.train.train_batches(6, 0, flips=flips).take(4))
    for x, h in [*trained, *bunch.train.eval_batches(4)]:
        x = np.float32(x) / 255
        np.testing.assert_allclose(h, np.concatenate([x, 1 - x], axis=-1), atol=1e-6)
    batches = [x.numpy().tobytes() for x, _ in trained]
    assert len(set(batches)) == 4  # varied, indeed


def test_a_fingerprint_depends_on_the_vectors(tmp_path):
    prints = set()
    for name, vectors in {"a": VECTORS, "b": -VECTORS, "c": VECTORS}.items():
        source = write_npz(tmp_path / f"{name}.npz", x_train=IMAGES, h_train=vectors)
        prints.add(load(source).fingerprint)
    assert len(prints) == 2


NAN = VECTORS.copy()
NAN[5, 1] = np.nan
MAPS = np.zeros((8, 4, 6, 2), np.float32)


@pytest.mark.parametrize(
    ("arrays", "condition", "options", "message"),
    [
        ({}, "vector", {}, "no array h_train with the conditions of x_train"),
        ({"h_train": VECTORS}, "vector", {"condition_feature": "z"}, "no array z_train"),
        ({"h_train": VECTORS, "x_test": IMAGES}, "vector", {}, "no array h_test"),
        ({"h_train": NAN}, "vector", {}, r"not finite .* first of image 5 .* of 1 images"),
        ({"h_train": VECTORS.astype(float) * 1e300}, "vector", {}, "beyond float32"),
        ({"h_train": VECTORS[:7]}, "vector", {}, "has 7 entries, but there are 8 images"),
        ({"h_train": VECTORS[:, 0]}, "vector", {}, r"shape \(8,\) .* vectors \[N, D\]"),
        ({"h_train": VECTORS[:, :0]}, "vector", {}, "0 entries for each image; there may be 1"),
        ({"h_train": VECTORS.astype(str)}, "vector", {}, "must be numbers"),
        ({"h_train": VECTORS}, "spatial", {}, r"maps \[N, H, W, D\]"),
        ({"h_train": MAPS}, "vector", {}, r"vectors \[N, D\]"),
        (
            {"h_train": MAPS[:, :2]},
            "spatial",
            {},
            r"maps of npz:.* are 2x6, but its images, .* 4x6",
        ),
        ({"h_train": MAPS}, "spatial", {"image_size": 4}, "are 4x6, but its images, .* 4x4"),
        ({"h_train": VECTORS, "h_names": ["a", "b"]}, "vector", {}, "3 different names"),
        ({"h_train": VECTORS, "h_names": ["a", "b", "a"]}, "vector", {}, "'a' is there 2 times"),
        (
            {"h_train": VECTORS, "x_test": IMAGES, "h_test": VECTORS[:, :2]},
            "vector",
            {},
            "different sizes: 2, 3",
        ),
        ({"h_train": VECTORS}, "label", {"condition_feature": "h"}, "for models conditioned on"),
    ],
)
def test_conditions_that_do_not_fit_are_told_in_one_sentence(
    tmp_path, arrays, condition, options, message
):
    source = write_npz(tmp_path / "a.npz", x_train=IMAGES, **arrays)
    with pytest.raises(UserError, match=message):
        load(source, condition, **options)


# Folders


@pytest.fixture
def folder(tmp_path):
    """Function: name and content of a file of attributes → the source of a folder of 4 images."""
    for split, names in {"train": "abc", "test": "d"}.items():
        (tmp_path / split).mkdir()
        for name in names:
            pixels = np.full((4, 4, 3), ord(name), np.uint8)
            PIL.Image.fromarray(pixels).save(tmp_path / split / f"{name}.png")

    def write(name, text):
        (tmp_path / name).write_text(text)
        return f"folder:{tmp_path}"

    return write


CSV = """file,age,hair,extras
train/a.png,30,red,hat
b.png,4.5,blond,
c.png,-1,red,hat; glasses
test/d.png,7,blond,glasses
e.png,8,green,
"""


@pytest.mark.parametrize("limit", [1000, 0])
def test_attributes_of_a_folder_are_numbers_names_and_tags(folder, limit):
    bunch = load(folder("attributes.csv", CSV), memory_limit_mb=limit)
    assert bunch.condition_names == ("age", "blond", "red", "glasses", "hat")
    found = {chr(number): c.tolist() for number, c in pairs(split_batches(bunch.train, 2)).items()}
    assert found == {
        "a": [30, 0, 1, 0, 1],
        "b": [4.5, 1, 0, 0, 0],
        "c": [-1, 0, 1, 1, 1],
    }
    assert bunch.test.take(1)[1].tolist() == [[7, 1, 0, 1, 0]]
    assert not bunch.left_out
    assert bunch.info == describe(bunch.name)


def test_names_that_two_columns_share_have_the_title_before_them(folder):
    text = "file,hair,eyes\na.png,red,blue\nb.png,blue,red\nc.png,red,red\nd.png,red,red\n"
    bunch = load(folder("attributes.csv", text))
    assert bunch.condition_names == ("hair=blue", "hair=red", "eyes=blue", "eyes=red")


@pytest.mark.parametrize(
    ("text", "names", "of_b"),
    [
        (
            "file,beard,hat\na.png,beard,hat\nb.png,,hat\nc.png,,\nd.png,,\n",
            ("beard", "hat"),
            [0, 1],
        ),
        (
            "file,smiling,tags\na.png,yes,smiling\nb.png,no,hat\nc.png,no,\nd.png,no,\n",
            ("no", "yes", "hat", "smiling"),
            [1, 0, 1, 0],
        ),
    ],
)
def test_a_column_of_names_may_be_called_like_a_name(folder, text, names, of_b):
    bunch = load(folder("attributes.csv", text))
    assert bunch.condition_names == names
    found = {chr(number): c.tolist() for number, c in pairs(split_batches(bunch.train, 2)).items()}
    assert found["b"] == of_b


def test_attributes_of_celeba_are_zeros_and_ones(folder):
    text = "4\nSmiling Hat\na.png -1  1\nb.png  1 -1\nc.png 1 1\nd.png -1 -1\n"
    bunch = load(folder("list_attr_celeba.txt", text))
    assert bunch.condition_names == ("Smiling", "Hat")
    assert bunch.train.take(3)[1].tolist() == [[0, 1], [1, 0], [1, 1]]


@pytest.mark.parametrize(
    "content",
    [
        {"a.png": ["x", "y"], "b.png": [], "c.png": ["y"], "d.png": ["x"]},
        {name: {"tags": tags} for name, tags in zip("abcd", ["x;y", "", "y", "x"], strict=True)},
    ],
)
def test_attributes_may_be_json(folder, content):
    content = {name if "." in name else f"{name}.png": tags for name, tags in content.items()}
    bunch = load(folder("attributes.json", json.dumps(content)))
    assert bunch.condition_names == ("x", "y")
    assert bunch.train.take(3)[1].tolist() == [[1, 1], [0, 0], [0, 1]]
    assert bunch.test.take(1)[1].tolist() == [[1, 0]]


def changed(old, new):
    assert old in CSV
    return CSV.replace(old, new)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("other.csv", CSV, "has no attributes.csv or .* name the file by data.condition_feature"),
        ("attributes.csv", "", "is empty"),
        ("attributes.csv", changed("b.png,4.5,blond,\n", ""), "no line for train/b.png"),
        ("attributes.csv", changed("4.5", ""), "'age' of train/b.png .* number, but is missing"),
        ("attributes.csv", changed("4.5", "nan"), "'age' of train/b.png .* finite .* is 'nan'"),
        ("attributes.csv", changed("7,blond", "7,blomd"), "'blomd', which no .*mean 'blond'"),
        ("attributes.csv", changed("4.5,blond,", "4.5,blond"), "line 3 of .* has 3 columns, but"),
        ("attributes.csv", changed("e.png", "b.png"), "has two lines for b.png"),
        ("attributes.csv", "file\na.png\nb.png\nc.png\nd.png\n", "no column beside"),
        ("attributes.csv", "\0\xff", "cannot be read|is empty|no column"),
        ("attributes.json", "{", "cannot be read"),
        ("attributes.json", "[1]", "must be file → list of names"),
        ("attributes.json", '{"a.png": ["x"], "b.png": {"x": 1}}', "a list for every file, or"),
        ("list_attr_celeba.txt", "2\nA B\na.png 1 2\n", "line 3 of .* a file and 2 of 1 and -1"),
        ("list_attr_celeba.txt", "2", "cannot be read"),
    ],
)
def test_attributes_that_are_wrong_are_told_in_one_sentence(folder, name, text, message):
    with pytest.raises(UserError, match=message):
        load(folder(name, text))


def test_one_line_for_two_files_of_one_name_is_refused(folder, tmp_path):
    PIL.Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "test" / "b.png")
    with pytest.raises(UserError, match="one line for b.png, but train/b.png and test/b.png"):
        load(folder("attributes.csv", CSV))


def test_a_folder_has_no_maps(folder):
    with pytest.raises(UserError, match="model.condition=spatial cannot be trained from it"):
        load(folder("attributes.csv", CSV), "spatial")


# TFDS


class Annotated(tfds.core.GeneratorBasedBuilder):
    """20 images of 4x6, whose first value is their number, with conditions made of it."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(4, 6, 1)),
            "label": tfds.features.ClassLabel(num_classes=2),
            "embedding": tfds.features.Tensor(shape=(2,), dtype=np.float64),
            "attributes": {"even": np.bool_, "tens": np.int32},
            "map": tfds.features.Tensor(shape=(4, 6, 2), dtype=np.float32),
            "text": tfds.features.Text(),
            "broken": tfds.features.Tensor(shape=(1,), dtype=np.float32),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for i, image in enumerate(numbered(20)):
            yield (
                i,
                {
                    "image": image,
                    "label": i % 2,
                    "embedding": [i, -i],
                    "attributes": {"even": i % 2 == 0, "tens": i // 10},
                    "map": np.full((4, 6, 2), i, np.float32),
                    "text": str(i),
                    "broken": np.float32([np.nan if i == 13 else i]),
                },
            )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("tfds"))
    Annotated(data_dir=directory).download_and_prepare()
    return directory


@pytest.mark.parametrize("limit", [1000, 0])
@pytest.mark.parametrize(
    ("feature", "condition", "of_number"),
    [
        ("embedding", "vector", lambda i: np.array([i, -i])),
        ("attributes", "vector", lambda i: np.array([i % 2 == 0, i // 10])),
        ("map", "spatial", lambda i: np.full((4, 6, 2), i)),
    ],
)
def test_a_feature_of_a_tfds_set_is_the_condition(data_dir, limit, feature, condition, of_number):
    options = {"data_dir": data_dir, "condition_feature": feature, "memory_limit_mb": limit}
    bunch = load("tfds:annotated", condition, validation=5, **options)
    assert bunch.condition_size == 2
    assert bunch.condition_names == (("even", "tens") if feature == "attributes" else ())
    assert bunch.info == describe("tfds:annotated", condition, **options)
    found = pairs(bunch.train.train_batches(5, seed=1).take(6))
    found |= pairs(split_batches(bunch.validation, 3))
    assert len(found) == 20
    for number, value in found.items():
        np.testing.assert_array_equal(value, np.float32(of_number(number)))


@pytest.mark.parametrize(
    ("feature", "condition", "message"),
    [
        ("", "vector", "needs data.condition_feature, one of the features .* embedding"),
        ("nothing", "vector", "there is no 'nothing'"),
        ("text", "vector", r"'text' of .* cannot be the condition: .* must be numbers \[D\]"),
        ("map", "vector", r"must be numbers \[D\]"),
        ("embedding", "spatial", r"must be numbers \[H, W, D\]"),
    ],
)
def test_a_feature_that_cannot_be_the_condition_is_refused(data_dir, feature, condition, message):
    with pytest.raises(UserError, match=message):
        load("tfds:annotated", condition, data_dir=data_dir, condition_feature=feature)


@pytest.mark.parametrize("limit", [1000, 0])
def test_a_condition_that_is_not_finite_is_refused_where_it_is_read(data_dir, limit):
    options = {"data_dir": data_dir, "condition_feature": "broken", "memory_limit_mb": limit}
    message = "'broken' of tfds:annotated has values that are not finite$"
    with pytest.raises(UserError, match=message):
        try:
            list(load("tfds:annotated", **options).train.eval_batches(4))
        except tf.errors.OpError as error:
            raise input_error(error) from error
