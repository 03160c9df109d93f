"""Parts of a batch that run side by side, and the sizes that XLA compiles for."""

import numpy as np
import pytest
import tensorflow as tf
from exported import graph_of
from families import randomise

import gated_pixelcnn as gpc
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.limits import METHODS
from gated_pixelcnn.models.registry import FAMILIES
from gated_pixelcnn.sampling import compiled_num, parts

CLASSES = 3


def small(condition="label"):
    size = "code_size" if condition == "image" else "condition_size"
    model = gpc.GatedPixelCNN(
        (3, 4, 1), 5, features=6, layers=2, condition=condition, **{size: CLASSES}
    )
    model.build()
    randomise(model, 0)
    return model


@pytest.fixture(scope="module")
def model():
    return small()


def labels(num):
    return np.arange(num, dtype=np.int32) ** 2 // 2 % CLASSES  # in parts of 3 not the same ones


def calls_of(monkeypatch, model):
    """The numbers of images for which a graph that draws is traced from now on."""
    nums, draw = [], model.draw
    monkeypatch.setattr(model, "draw", lambda request: nums.append(request.num) or draw(request))
    return nums


@pytest.mark.parametrize("processors", [1, 2, 3, 16])
def test_what_xla_compiles_is_cut_into_parts_of_one_size(monkeypatch, processors):
    monkeypatch.setattr(parts, "processors", lambda: processors)
    for num in range(1, 200):
        cut = parts.parts_of(compiled_num(num), jit=True)
        assert sum(cut) == compiled_num(num) >= num
        assert set(cut) == {parts.size_of_parts(num)}
        assert len(cut) <= processors
        assert len(cut) * 2 > min(num, processors)


def test_any_number_of_images_can_be_cut(monkeypatch):
    monkeypatch.setattr(parts, "processors", lambda: 3)
    assert parts.parts_of(7, jit=True) == [3, 3, 1]


@pytest.mark.parametrize("num", [0, 1, 2, 5])
def test_without_xla_there_are_two_parts_whatever_is_known_of_the_batch(num):
    cut = parts.parts_of(num, jit=False)
    assert cut == [num - num // 2, num // 2]
    assert [int(part) for part in parts.parts_of(tf.constant(num), jit=False)] == cut


def test_a_gpu_takes_the_whole_batch(monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])
    for jit in (False, True):
        assert parts.parts_of(7, jit) == [7]


def test_processors_are_those_that_tensorflow_may_use(monkeypatch):
    monkeypatch.setattr(tf.config.threading, "get_inter_op_parallelism_threads", lambda: 0)
    assert 1 <= parts.processors()
    monkeypatch.setattr(tf.config.threading, "get_inter_op_parallelism_threads", lambda: 5)
    assert parts.processors() == 5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("processors", [1, 3])
def test_images_are_the_same_however_many_processors_there_are(monkeypatch, method, processors):
    monkeypatch.setattr(parts, "processors", lambda: processors)
    model = small()
    found = model.sample(condition=labels(8), seed=5, method=method)
    wanted = model.sample(condition=labels(8), seed=5, jit=False)
    np.testing.assert_array_equal(found, wanted)
    assert len(np.unique(wanted)) == model.levels


def test_xla_compiles_for_few_sizes_and_a_quarter_too_much_at_most():
    sizes = [parts.size_of_parts(num, 1) for num in range(1, 1025)]
    assert all(num <= size <= 1.25 * num for num, size in enumerate(sizes, 1))
    assert [parts.size_of_parts(size, 1) for size in sizes] == sizes
    assert len(set(sizes)) == 36
    assert sizes[:8] == [*range(1, 9)]


def test_another_number_of_images_takes_the_program_of_the_next_size(monkeypatch):
    model = small()
    traced = calls_of(monkeypatch, model)
    drawn = {num: model.sample(condition=labels(num), seed=1).numpy() for num in (12, 11)}
    assert traced == [12]
    np.testing.assert_array_equal(drawn[11], drawn[12][:11])
    model.sample(condition=labels(11), seed=1, jit=False)
    assert traced == [12, 11]  # nothing is compiled, so nothing is for nothing


@pytest.mark.parametrize("condition", ["label", "vector", "spatial", "image"])
def test_all_that_belongs_to_an_image_is_made_longer_with_it(condition):
    model = small(condition)
    random = np.random.default_rng(0)
    shape = {"label": (), "vector": (CLASSES,), "spatial": (3, 4, CLASSES), "image": (3, 4, 1)}
    how = {"condition": random.integers(0, CLASSES, (9, *shape[condition])).astype(np.float32)}
    if condition in ("label", "image"):
        how["condition"] = how["condition"].astype(np.int32)
    how |= {"given": random.integers(0, 5, (9, 3, 4, 1)).astype(np.uint8), "seed": 7}
    how |= {"known": random.random((9, 3, 4, 1)) < 0.3, "example_seeds": np.arange(9)[::-1]}
    np.testing.assert_array_equal(model.sample(**how), model.sample(**how, jit=False))


def test_a_stage_is_made_longer_with_its_images():
    family = {"family": "gated_pixelcnn", "features": 4, "layers": 1}
    submodels = {"prior": family, "conditional": family, "embedding_features": 3}
    model = FAMILIES["auxiliary"]((4, 6, 1), 5, **submodels)
    model.build()
    randomise(model, 0)
    stage = model.sample_stages(9, jit=False, seed=2)[0]
    found = model.sample_stages(stage=stage, seed=3)
    for stages in zip(found, model.sample_stages(stage=stage, seed=3, jit=False), strict=True):
        np.testing.assert_array_equal(*stages)
    np.testing.assert_array_equal(found[0], stage)


# Exports


@pytest.fixture(scope="module")
def exports(model, tmp_path_factory):
    """Path of an export without XLA and of one with it."""
    folder = tmp_path_factory.mktemp("exports")
    return {
        jit: gpc.export(model, folder / str(jit), max_images=20, jit=jit) for jit in (False, True)
    }


@pytest.mark.parametrize("jit", [False, True])
def test_an_export_has_xla_where_it_is_asked_for(exports, jit):
    library = graph_of(exports[jit]).graph_def.library
    assert jit == any(f.attr["_XlaMustCompile"].b for f in library.function)


@pytest.mark.parametrize("num", [1, 2, 9, 20])
def test_an_export_with_xla_draws_and_completes_what_the_model_does(model, exports, num):
    served = gpc.load_saved_model(exports[True])
    how = {"condition": labels(num), "seed": 6}
    wanted = model.sample(**how, jit=False)
    np.testing.assert_array_equal(served.sample(**how), wanted)
    known = np.random.default_rng(1).random(wanted.shape) < 0.5
    how |= {"given": wanted, "known": known, "seed": 8}
    np.testing.assert_array_equal(served.sample(**how), model.sample(**how, jit=False))


def test_an_export_is_told_of_xla_by_true_or_false(model, tmp_path):
    with pytest.raises(UserError, match="jit must be True or False, got 'rows'"):
        gpc.export(model, tmp_path, jit="rows")


def test_an_export_with_xla_still_refuses_more_images_than_it_may_draw(exports):
    sample = tf.saved_model.load(str(exports[True])).signatures["sample"]
    how = {"seed": tf.constant(1, tf.int64), "temperature": tf.constant(1.0)}
    assert sample(label=labels(20), **how)["images"].shape[0] == 20
    for num in (0, 21):
        with pytest.raises(tf.errors.InvalidArgumentError, match="must be 1…20"):
            sample(label=labels(num), **how)
