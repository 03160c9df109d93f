"""Exported SavedModels: the same answers as the model, and errors for whatever is wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from exported import KINDS, MAX_IMAGES, encoded, graph_of, of_kind, picture

import gated_pixelcnn as gpc
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.serving import facts

QUICK = ("label", "vector", "spatial", "image")
LEFT = [pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS if kind not in QUICK]
every_kind = pytest.mark.parametrize("kind", [*QUICK, *LEFT])


# The same answers as the model


@every_kind
def test_signatures_have_the_documented_names_types_and_shapes(exported, kind):
    it = exported(kind)
    image = [None, *it.model.image_shape]
    images, known = ("uint8", image), ("bool", image)
    seed, temperature = ("int64", []), ("float32", [])
    size = it.model.condition_size
    condition = {
        None: {},
        "label": {"label": ("int32", [None])},
        "vector": {"vector": ("float32", [None, size])},
        "spatial": {"spatial": ("float32", [*image[:3], size])},
        "image": {"image": images},
    }[it.model.condition_kind]
    how_many = condition or {"num": ("int32", [])}
    sample = {"seed": seed, "temperature": temperature, **how_many}, {"images": images}
    given = {"images": images, "known": known, "seed": seed, "temperature": temperature}
    of_each = {"log_prob": ("float32", [None]), "bits_per_dim": ("float32", [None])}
    expected = {
        "serving_default": sample,
        "sample": sample,
        "sample_at_temperature_1": ({"seed": seed, **how_many}, {"images": images}),
        "complete": ({**given, **condition}, {"images": images}),
        "log_prob": ({"images": images, **condition}, of_each),
        "value_log_prob": ({"images": images, **condition}, {"value_log_prob": ("float32", image)}),
        "log_prob_bytes": ({"image_bytes": ("string", [None]), **condition}, of_each),
    }
    if it.model.image_shape[-1] == 2:
        del expected["log_prob_bytes"]  # no image file has two colours

    def described(tensors):
        return {
            name: (
                tf.as_dtype(info.dtype).name,
                [None if d.size < 0 else d.size for d in info.tensor_shape.dim],
            )
            for name, info in tensors.items()
        }

    found = {
        name: (described(signature.inputs), described(signature.outputs))
        for name, signature in graph_of(it.path).signature_def.items()
        if not name.startswith("__")
    }
    assert found == expected


@every_kind
@pytest.mark.parametrize("num", [MAX_IMAGES, pytest.param(1, marks=pytest.mark.slow)])
def test_samples_are_those_of_the_model(exported, kind, num):
    it = exported(kind)
    condition = of_kind(it.condition(num))
    for temperature in (0.7, 1.5):
        how = {"seed": np.int64(-4), "temperature": np.float32(temperature)}
        expected = it.model.sample(num, condition, seed=-4, temperature=temperature, jit=False)
        for signature in ("sample", "serving_default"):
            found = it.call(signature, **it.how_many(num), **how)["images"]
            np.testing.assert_array_equal(found, expected)
    found = it.call("sample_at_temperature_1", **it.how_many(num), seed=np.int64(3))["images"]
    np.testing.assert_array_equal(found, it.model.sample(num, condition, seed=3, jit=False))


@every_kind
def test_completions_keep_what_is_known_and_are_those_of_the_model(exported, kind):
    it = exported(kind)
    images, condition = it.images(4), it.condition(4)
    known = np.random.default_rng(1).random(images.shape) < 0.5
    how = {"seed": np.int64(5), "temperature": np.float32(0.8)}
    found = it.call("complete", images=images, known=known, **how, **condition)["images"]
    np.testing.assert_array_equal(found[known], images[known])
    assert (found != images)[~known].any()
    how = {"given": images, "known": known, "seed": 5, "temperature": 0.8, "jit": False}
    np.testing.assert_array_equal(found, it.model.sample(4, of_kind(condition), **how))


@every_kind
@pytest.mark.parametrize("num", [1, MAX_IMAGES])
def test_log_probabilities_are_those_of_the_model(exported, kind, num):
    it = exported(kind)
    images, condition = it.images(num), it.condition(num)
    values = it.model.value_log_prob(images, of_kind(condition)).numpy()
    close = {"rtol": 1e-4, "atol": 1e-5}
    found = it.call("value_log_prob", images=images, **condition)["value_log_prob"]
    np.testing.assert_allclose(found, values, **close)
    found = it.call("log_prob", images=images, **condition)
    nats = values.sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found["log_prob"], nats, **close)
    bits = -nats / np.log(2) / images[0].size
    np.testing.assert_allclose(found["bits_per_dim"], bits, **close)


@every_kind
def test_a_loaded_saved_model_cuts_large_batches_and_answers_like_the_model(exported, kind):
    it = exported(kind)
    num = 2 * MAX_IMAGES + 1
    images, condition = it.images(num), of_kind(it.condition(num))
    how = {"seed": 6, "temperature": 0.9, "example_seeds": 2, "jit": False}
    np.testing.assert_array_equal(
        it.saved.sample(num, condition, **how), it.model.sample(num, condition, **how)
    )
    known = np.arange(images.shape[1])[:, None, None] < 2
    how |= {"given": images, "known": known}
    np.testing.assert_array_equal(
        it.saved.sample(num, condition, **how), it.model.sample(num, condition, **how)
    )
    np.testing.assert_allclose(
        it.saved.log_prob(images, condition), it.model.log_prob(images, condition), rtol=1e-4
    )


def test_a_loaded_saved_model_checks_its_arguments_like_the_model(exported):
    saved = exported("label").saved
    with pytest.raises(ValueError, match="labels must be 0…2"):
        saved.sample(condition=[0, 3])
    with pytest.raises(ValueError, match="images must have the shape"):
        saved.log_prob(np.zeros((1, 7, 5, 3), np.uint8), [0])
    for kind in ("label", "image"):
        it = exported(kind)
        between = np.ones((2, it.model.condition_size), np.float32)
        it.model.sample(condition=between, jit=False)
        with pytest.raises(ValueError, match=f"{kind} condition must be integers .* got float32"):
            it.saved.sample(condition=between)


def test_without_an_image_as_condition_images_are_conditioned_on_themselves(exported):
    it = exported("image")
    images = it.images(2)
    expected = it.model.log_prob(images)
    np.testing.assert_allclose(it.saved.log_prob(images), expected, rtol=1e-4)


# Wrong requests


def wrong_requests():
    """Of (kind of model, signature, changes of the inputs, what the message says)."""
    nan, inf = np.float32(np.nan), np.float32(np.inf)
    for temperature in (0, -1, 1e-7, 1e7, nan, inf):
        wrong = {"temperature": np.float32(temperature)}
        for signature in ("sample", "serving_default", "complete"):
            yield "none", signature, wrong, "temperature must be 1e-06…1e.06 but is"
    for num in (0, -1, MAX_IMAGES + 1, 2**31 - 1):
        for signature in ("sample", "sample_at_temperature_1"):
            yield "none", signature, {"num": np.int32(num)}, f"num must be 1….* but is.* .{num}"
    for labels in ([0, 3], [-1, 0], [0, 2**31 - 1]):
        for signature in ("sample", "sample_at_temperature_1", "complete", "log_prob"):
            yield "label", signature, {"label": np.int32(labels)}, "label must be 0…2"
        yield "label", "value_log_prob", {"label": np.int32(labels)}, "label must be 0…2"
        yield "label", "log_prob_bytes", {"label": np.int32(labels)}, "label must be 0…2"
    for number in (nan, inf, -inf, np.float32(2e30)):
        for kind, shape in (("vector", (2, 2)), ("spatial", (2, 5, 7, 2))):
            wrong = np.zeros(shape, np.float32)
            wrong.flat[-1] = number
            for signature in ("sample", "complete", "log_prob"):
                yield kind, signature, {kind: wrong}, f"{kind} must be numbers of at most 1e.30"
    for signature in ("log_prob", "value_log_prob", "complete"):
        wrong = {"images": np.full((2, 5, 7, 3), 4, np.uint8)}
        yield "label", signature, wrong, "images must have values 0…3"
        empty = np.zeros((0, 5, 7, 3), np.uint8)
        wrong = {"images": empty, "label": np.zeros(0, np.int32)}
        wrong |= {"known": empty.astype(bool)} if signature == "complete" else {}
        yield "label", signature, wrong, "the number of images must be 1…6 but is"
        for shape in ((2, 7, 5, 3), (5, 7, 3), (2, 5, 7, 1), (1, 2, 5, 7, 3), (2, 0, 7, 3)):
            wrong = {"images": np.zeros(shape, np.uint8)}
            sizes = ",".join(map(str, shape))
            message = (
                rf"input_images \[{sizes}\] is not compatible with expected shape \[\?,5,7,3\]"
            )
            yield "label", signature, wrong, message
        wrong = {"images": np.zeros((1, 5, 7, 3), np.uint8)}
        yield "label", signature, wrong, "must have one entry for each of images but has"
    for signature in ("sample", "log_prob"):
        wrong = {"image": np.full((2, 7, 5, 1), 4, np.uint8)}
        yield "image", signature, wrong, "image must have values 0…3"
        wrong = {"image": np.zeros((2, 5, 7, 1), np.uint8)}
        yield "image", signature, wrong, r"image \[2,5,7,1\] is not"
    too_many = {"label": np.zeros(MAX_IMAGES + 1, np.int32)}
    yield "label", "sample", too_many, "the number of label must be 1…6 but is.* .7"
    yield "label", "sample", {"label": np.zeros((2, 1), np.int32)}, r"label \[2,1\] is not"
    yield "label", "sample", {"label": np.int32(1)}, r"label \[\] is not"
    yield "label", "sample", {"seed": np.int64([1])}, r"seed \[1\] is not"
    yield "none", "sample", {"num": np.int32([1, 2])}, r"num \[2\] is not"
    yield "none", "sample", {"temperature": np.ones(1, np.float32)}, r"temperature \[1\] is not"
    yield "vector", "sample", {"vector": np.zeros((2, 3), np.float32)}, r"vector \[2,3\] is not"
    wrong = {"known": np.zeros((1, 5, 7, 3), bool)}
    yield "label", "complete", wrong, "known must have one entry for each of images but has"
    files = np.array([b"file"], object)
    yield "label", "log_prob_bytes", {"image_bytes": files[:0]}, "number of image_bytes must be 1…6"
    yield "label", "log_prob_bytes", {"image_bytes": files}, "label must have one entry for each"
    yield "label", "log_prob_bytes", {"image_bytes": files[None]}, r"image_bytes \[1,1\] is not"


def valid_inputs(it, signature):
    """Valid inputs of a signature, for two images."""
    images = it.images(2)
    everything = {
        "num": np.int32(2),
        "seed": np.int64(0),
        "temperature": np.float32(1),
        "images": images,
        "known": images % 2 == 0,
        "image_bytes": np.array([encoded(picture(it.model.image_shape), "PNG")] * 2, object),
        **it.condition(2),
    }
    names = it.saved.signatures[signature].structured_input_signature[1]
    return {name: everything[name] for name in names}


@pytest.mark.parametrize("kind", ["none", "label", "vector", "spatial", "image"])
def test_a_wrong_request_is_an_error_that_names_the_input(exported, served, kind):
    it, session = exported(kind), served(kind)
    tried = 0
    for of_kind_of_model, signature, wrong, message in wrong_requests():
        if of_kind_of_model == kind:
            inputs = valid_inputs(it, signature)
            session(signature, inputs)  # is answered
            assert wrong.keys() <= inputs.keys()
            with pytest.raises(tf.errors.InvalidArgumentError, match=message):
                session(signature, inputs | wrong)
            tried += 1
    assert tried >= 4


# What the file holds


@every_kind
def test_graphs_hold_only_operations_of_every_tensorflow_on_any_device(exported, kind):
    graph = graph_of(exported(kind).path)
    functions = {function.signature.name for function in graph.graph_def.library.function}
    nodes = list(graph.graph_def.node)
    attributes = set()
    for function in graph.graph_def.library.function:
        nodes += function.node_def
        attributes |= function.attr.keys()
    assert len(nodes) > 500
    operations = {node.op for node in nodes} - functions
    assert operations <= set(dir(tf.raw_ops))  # else it would be an operation of someone else
    assert not [name for name in operations if "PyFunc" in name or "Xla" in name]
    attributes |= {name for node in nodes for name in node.attr}
    assert not [name for name in attributes if "xla" in name.lower()]
    assert not [node.device for node in nodes if node.device and "CPU" not in node.device]


def test_facts_tell_what_signatures_do_not(exported):
    it = exported("label")
    assert it.saved.image_shape == it.model.image_shape
    assert (it.saved.levels, it.saved.condition_kind, it.saved.condition_size) == (4, "label", 3)
    assert exported("image").saved.condition_size == 2
    assert (it.saved.max_images, it.saved.is_lower_bound) == (MAX_IMAGES, False)
    assert it.saved.run["config"].data.source == "embedded:digits8"


@pytest.fixture(name="copy")
def make_copy(exported, tmp_path):
    """A SavedModel to be damaged."""
    return Path(shutil.copytree(exported("none").path, tmp_path / "copy"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda facts: "",
        lambda facts: "{",
        lambda facts: "[]",
        lambda facts: "[" * 100_000,
        lambda facts: "{}",
        lambda facts: json.dumps(facts | {"run": {}}),
        lambda facts: json.dumps(facts | {"run": facts["run"] | {"image_shape": [5]}}),
        lambda facts: json.dumps({k: v for k, v in facts.items() if k != "is_lower_bound"}),
        lambda facts: json.dumps({k: v for k, v in facts.items() if k != "condition_size"}),
        lambda facts: json.dumps(facts | {"max_images": 0}),
        lambda facts: json.dumps(facts | {"max_images": "6"}),
    ],
)
def test_facts_that_are_damaged_are_told(copy, damage):
    file = copy / "assets.extra" / facts.NAME
    file.write_text(damage(json.loads(file.read_text())))
    with pytest.raises(UserError, match="is damaged .*export the model again"):
        gpc.load_saved_model(copy)


def test_facts_of_another_format_are_told(copy):
    file = copy / "assets.extra" / facts.NAME
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 999}))
    with pytest.raises(UserError, match="has format 999; this version reads"):
        gpc.load_saved_model(copy)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: (path / "saved_model.pb").write_bytes(b"garbage"),
        lambda path: (path / "saved_model.pb").write_bytes(b""),
        lambda path: cut(path / "saved_model.pb"),
        lambda path: shutil.rmtree(path / "variables"),
        lambda path: cut(path / "variables" / "variables.index"),
        lambda path: cut(path / "variables" / "variables.data-00000-of-00001"),
    ],
)
def test_a_saved_model_that_is_damaged_is_told(copy, damage):
    damage(copy)
    with pytest.raises(UserError, match="the SavedModel .* is damaged .*export the model again"):
        gpc.load_saved_model(copy)


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def test_what_is_no_saved_model_of_ours_is_told(copy, tmp_path):
    with pytest.raises(UserError, match="there is no directory .*absent; export.py prints"):
        gpc.load_saved_model(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty holds no SavedModel"):
        gpc.load_saved_model(tmp_path / "empty")
    (tmp_path / "empty" / "1").mkdir()
    with pytest.raises(UserError, match="1 was not written by export.py"):
        gpc.load_saved_model(tmp_path / "empty")
    shutil.rmtree(copy / "assets.extra")
    with pytest.raises(UserError, match="copy was not written by export.py"):
        gpc.load_saved_model(copy)


def test_an_export_is_not_exported_again(exported, tmp_path):
    with pytest.raises(UserError, match="this is an exported model already"):
        gpc.export(exported("label").saved, tmp_path / "again")
