"""A top map of codes and a bottom map given it: one distribution, from arrays to samples."""

import itertools
import json

import keras
import numpy as np
import pytest
from families import randomise
from PIL import Image
from runs import OVERRIDES
from scripts import call, read_npz

import gated_pixelcnn as gpc
from gated_pixelcnn.cli import evaluate, export, sample
from gated_pixelcnn.errors import UserError

PART = {"family": "gated_pixelcnn", "features": 4, "layers": 2, "first_kernel_size": 3}
PART |= {"embedding_size": 3}
FAMILIES = {
    "pixelcnn": PART | {"family": "pixelcnn"},
    "row_lstm": PART | {"family": "row_lstm"},
    "diagonal_bilstm": PART | {"family": "diagonal_bilstm"},
    "pixelcnn_pp": {
        **{"family": "pixelcnn_pp", "features": 4, "blocks": 1, "scales": 1},
        **{"dropout": 0.0, "embedding_size": 3, "likelihood": "categorical"},
    },
    "gated_pixelcnn": PART | {"attention_every": 1, "attention_heads": 1, "attention_features": 2},
}


def random_model(image_shape=(2, 3, 5), levels=6, **arguments):
    arguments = {"prior": PART, "conditional": PART, "embedding_features": 3} | arguments
    keras.utils.set_random_seed(1)
    model = gpc.CodeHierarchy(image_shape, levels, dtype="float64", **arguments)
    model.build()
    randomise(model, 0)
    return model


def codes_of(model, num=5, seed=0):
    shape = (num, *model.image_shape)
    return np.random.default_rng(seed).integers(0, model.levels, shape).astype(np.uint8)


@pytest.fixture(scope="module")
def model():
    return random_model()


# Two maps as one array


@pytest.mark.parametrize("factor", [2, 3])
def test_every_code_stands_beside_the_code_above_it(factor):
    top = np.arange(2 * 3 * 2).reshape(2, 3, 2)
    bottom = 100 + np.arange(2 * 3 * 2 * factor**2).reshape(2, 3 * factor, 2 * factor)
    packed = gpc.pack_codes(top, bottom)
    assert packed.shape == (2, 3, 2, 1 + factor**2)
    assert packed[1, 2, 1, 0] == top[1, 2, 1]
    below = bottom[1, 2 * factor : 3 * factor, factor : 2 * factor]
    np.testing.assert_array_equal(packed[1, 2, 1, 1:], below.ravel())
    for found, given in zip(gpc.unpack_codes(packed), (top, bottom), strict=True):
        np.testing.assert_array_equal(found, given)


@pytest.mark.parametrize(
    ("top", "bottom"),
    [((2, 3, 3), (2, 6, 7)), ((2, 3, 3), (2, 3, 3)), ((2, 3, 3), (1, 6, 6)), ((3, 3), (6, 6))],
)
def test_maps_that_do_not_fit_are_not_packed(top, bottom):
    with pytest.raises(ValueError, match="got top .* and bottom"):
        gpc.pack_codes(np.zeros(top, int), np.zeros(bottom, int))


@pytest.mark.parametrize("types", [(np.float32, np.uint8), (np.uint64, np.int64)])
def test_maps_whose_codes_would_become_floats_are_not_packed(types):
    top, bottom = (
        np.zeros((1, size, size), dtype) for size, dtype in zip((2, 4), types, strict=True)
    )
    with pytest.raises(ValueError, match="codes must be integers"):
        gpc.pack_codes(top, bottom)


def test_the_model_takes_the_maps_apart_as_the_functions_do(model):
    codes = codes_of(model)
    parts = model.parts_of(codes)
    for found, wanted in zip(parts, gpc.unpack_codes(codes), strict=True):
        np.testing.assert_array_equal(found[..., 0], wanted)
    np.testing.assert_array_equal(model.whole(*parts), codes)


# The distribution


def test_it_is_a_distribution_of_both_maps():
    tiny = random_model((1, 1, 5), 3)
    everything = np.array(list(itertools.product(range(3), repeat=5)), np.uint8)
    nats = tiny.log_prob(everything.reshape(-1, 1, 1, 5)).numpy()
    assert np.exp(nats.astype(float)).sum() == pytest.approx(1)
    assert nats.std() > 0.3


def test_it_is_exact_and_every_code_has_its_share(model):
    codes = codes_of(model)
    terms, values = model.log_prob_terms(codes).numpy(), model.value_log_prob(codes).numpy()
    assert not model.is_lower_bound
    top, bottom = gpc.unpack_codes(codes)
    np.testing.assert_allclose(terms[:, 0], model.prior.log_prob(top[..., None]), rtol=1e-6)
    maps = model.maps(top[..., None])
    of_bottom = model.conditional.log_prob(bottom[..., None], maps)
    np.testing.assert_allclose(terms[:, 1], of_bottom, rtol=1e-6)
    np.testing.assert_allclose(values.sum(axis=(1, 2, 3)), terms.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(values[..., 0].sum(axis=(1, 2)), terms[:, 0], rtol=1e-5)


def test_the_bottom_map_depends_on_the_top_map_all_around():
    model = random_model(conditional=PART | {"features": 12}, embedding_features=12)
    codes = codes_of(model, 8)
    changed = codes.copy()
    changed[:, 1, 2, 0] = (changed[:, 1, 2, 0] + 1) % model.levels
    before, after = (model.value_log_prob(x).numpy()[..., 1:] for x in (codes, changed))
    assert (before != after).any(axis=0).all()


def test_renumbered_codes_are_the_same_model():
    model, other = random_model(), random_model()
    order = np.random.default_rng(3).permutation(model.levels)
    for weight in other.weights:
        if weight.path.endswith(("table", "bias")) and model.levels in weight.shape:
            axis = tuple(weight.shape).index(model.levels)
            weight.assign(np.take(weight.numpy(), np.argsort(order), axis))
    codes = codes_of(model)
    assert not np.allclose(model.log_prob(order[codes]), model.log_prob(codes))
    np.testing.assert_allclose(other.log_prob(order[codes]), model.log_prob(codes), rtol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("part", ["prior", "conditional"])
def test_any_family_models_either_map(family, part):
    model = random_model((2, 2, 5), **{part: FAMILIES[family]})
    codes = codes_of(model)
    assert np.isfinite(model.log_prob(codes)).all()
    drawn = model.sample(3, seed=1, jit=False).numpy()
    again = model.sample(3, seed=1, jit=False, given=drawn, known=codes[:1] >= 0).numpy()
    np.testing.assert_array_equal(drawn, again)
    assert drawn.max() < model.levels


# Samples


def test_samples_have_the_frequencies_of_the_model():
    tiny = random_model((1, 1, 5), 2)
    randomise(tiny, 2)  # every map is drawn
    everything = np.array(list(itertools.product(range(2), repeat=5)), np.uint8)
    wanted = np.exp(tiny.log_prob(everything.reshape(-1, 1, 1, 5)).numpy())
    assert wanted.min() > 0.003
    num = 20_000
    drawn = tiny.sample(num, seed=3, jit=False).numpy().reshape(num, 5)
    counts = np.bincount(drawn @ 2 ** np.arange(4, -1, -1), minlength=32)
    errors = (counts - num * wanted) / np.sqrt(num * wanted * (1 - wanted))
    assert abs(errors).max() < 4.5 and np.mean(errors**2) < 2


def test_a_bottom_map_is_drawn_for_a_given_top_map(model):
    top = codes_of(model, 3)[..., :1]
    found = model.sample_stages(stage=top, seed=4, jit=False)
    np.testing.assert_array_equal(found[0], top)
    np.testing.assert_array_equal(found[1][..., :1], top)
    known = np.arange(5) == 0
    given = np.concatenate([top, np.zeros((3, 2, 3, 4), np.uint8)], axis=-1)
    completed = model.sample(3, seed=4, jit=False, given=given, known=known)
    np.testing.assert_array_equal(completed, found[1])


def test_what_is_known_of_both_maps_is_kept_and_the_rest_is_drawn(model):
    codes = codes_of(model, 40)
    known = np.random.default_rng(2).random((1, 2, 3, 5)) < 0.5
    drawn = model.sample(40, seed=4, jit=False, given=codes, known=known).numpy()
    np.testing.assert_array_equal(np.where(known, drawn, 0), np.where(known, codes, 0))
    assert (drawn != codes).any(axis=0)[~known[0]].all()


# Arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (2, 3, 4)}, r"an array \(h, w, 1 \+ f·f\).*got \(2, 3, 4\)"),
        ({"image_shape": (2, 3, 2)}, r"f at least 2 .*got \(2, 3, 2\)"),
        ({"values": "ordered"}, "must be 'categorical', got ordered"),
        ({"condition": "spatial", "condition_size": 2}, "must be None, 'label' or 'vector'"),
        ({"levels": (10, 4)}, "levels"),
        ({"embedding_features": 0}, "embedding_features must be at least 1, got 0"),
        ({"embedding_blocks": -1}, "embedding_blocks must be at least 0, got -1"),
        ({"train_only": "top"}, "train_only is 'top'"),
        ({"prior": {"family": "vae"}}, "family of prior must be one of"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        random_model(**arguments)


# Runs

K = 300


def maps(num, seed):
    """Top maps 2×2 of 4 codes, and bottom maps 4×4 that follow from them but for 3 in each code."""
    random = np.random.default_rng(seed)
    top = 70 * random.integers(0, 4, (num, 2, 2))
    return top, top.repeat(2, axis=1).repeat(2, axis=2) + random.integers(0, 3, (num, 4, 4))


def save(path, **more):
    (top, bottom), (top_test, bottom_test) = maps(200, 0), maps(40, 1)
    arrays = {"top_train": top, "bottom_train": bottom, "top_test": top_test}
    np.savez(path, **arrays | {"bottom_test": bottom_test} | more)
    return path


def settings(source, *more):
    changes = [f"data.source=npz:{source}", f"data.levels={K}", "model.condition=none"]
    changes += ["model.embedding_features=8", "train.learning_rate=0.02"]
    for part in ("prior", "conditional"):
        changes += [f"model.{part}.{key}={value}" for key, value in SIZES.items()]
    return gpc.get_config("code_hierarchy", [*RUN, *changes, *more])


SIZES = {"features": 8, "embedding_size": 8, "layers": 2, "first_kernel_size": 3}
SIZES |= {"attention_every": 0, "dropout": 0.0}
RUN = [change for change in OVERRIDES if not change.startswith("model.")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    source = save(folder / "codes.npz")
    gpc.train(settings(source, "train.steps=150", "train.samples=4"), folder / "run")
    return folder / "run"


def test_a_run_of_two_maps_learns_them(trained, monkeypatch, capsys):
    call(evaluate, monkeypatch, f"--workdir={trained}", "--json")
    result = json.loads(capsys.readouterr().out)
    assert list(result["terms"]) == ["top map", "bottom map"]
    assert not result["is_lower_bound"]
    assert result["bits_per_dim"] < 0.6 * result["baselines"]["unigram"]
    stages = result["stages"]
    assert [stage["image_shape"] for stage in stages] == [[2, 2, 1], [4, 4, 1]]
    bits = stages[0]["bits_per_dim"] * 4 + stages[1]["bits_per_dim"] * 16
    assert bits / 20 == pytest.approx(result["bits_per_dim"], rel=1e-5)


def test_maps_that_are_drawn_are_saved_and_shown(trained, tmp_path, monkeypatch):
    where = [f"--workdir={trained}", f"--output={tmp_path / 'a.png'}", "--nojit", "--num=6"]
    call(sample, monkeypatch, *where, f"--npz={tmp_path / 'a.npz'}")
    arrays = read_npz(tmp_path / "a.npz")
    packed = gpc.pack_codes(arrays["top"], arrays["bottom"])
    np.testing.assert_array_equal(packed, arrays["images"])
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width > picture.height  # both maps beside each other


@pytest.mark.parametrize("task", ["upscale", "colourise"])
def test_tasks_of_views_are_not_of_maps_of_codes(trained, tmp_path, monkeypatch, task):
    np.savez(tmp_path / "a.npz", images=np.zeros((1, 2, 2, 1), np.uint16))
    with pytest.raises(UserError, match=f"--{task}.*this model"):
        call(sample, monkeypatch, f"--workdir={trained}", f"--{task}={tmp_path / 'a.npz'}")


def test_an_export_draws_completes_and_tells_probabilities(trained, tmp_path, monkeypatch):
    call(export, monkeypatch, f"--workdir={trained}", f"--output={tmp_path / 'export'}")
    model, served = gpc.load(trained), gpc.load_saved_model(tmp_path / "export")
    codes = gpc.pack_codes(*maps(4, 2)).astype(np.uint16)
    np.testing.assert_allclose(served.log_prob(codes), model.log_prob(codes), rtol=1e-5)
    values = model.value_log_prob(codes)
    np.testing.assert_allclose(served.value_log_prob(codes), values, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(served.sample(4, seed=1), model.sample(4, seed=1))
    known = np.arange(5) == 0
    drawn = served.sample(4, given=codes, known=known)
    np.testing.assert_array_equal(drawn[..., 0], codes[..., 0])


def test_maps_trained_apart_are_put_together(tmp_path):
    source = save(tmp_path / "codes.npz")
    runs = {}
    for part in ("prior", "conditional"):
        runs[part] = tmp_path / part
        changes = (f"model.train_only={part}", "train.steps=4", "train.samples=0")
        gpc.train(settings(source, *changes), runs[part])
    model = gpc.load(runs["conditional"], prior=runs["prior"])
    codes = gpc.pack_codes(*maps(4, 2)).astype(np.uint16)
    terms = model.log_prob_terms(codes)
    for number, part in enumerate(runs):
        alone = gpc.load(runs[part]).log_prob_terms(codes)
        np.testing.assert_allclose(terms[:, number], alone[:, number], rtol=1e-5)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"bottom_train": np.zeros((200, 4, 5), int)}, "must be 2, 3, .* times as high"),
        ({"bottom_test": np.zeros((40, 6, 6), int)}, "splits of .* different shapes"),
        ({"top_train": np.full((200, 2, 2), -1)}, "top_train .* is from -1 to -1"),
        ({"bottom_train": np.full((200, 4, 4), 300)}, r"bottom_train .* 0\.\.299"),
        ({"bottom_train": np.zeros((200, 4, 4))}, "must be integers"),
        ({"bottom_train": np.zeros((199, 4, 4), int)}, "got top .200, 2, 2. and bottom .199"),
    ],
)
def test_bad_maps_are_refused(tmp_path, arrays, message):
    source = save(tmp_path / "codes.npz", **arrays)
    with pytest.raises(UserError, match=message):
        gpc.train(settings(source), tmp_path / "run")


def test_of_two_maps_both_must_be_there_and_meant(tmp_path):
    top, bottom = maps(20, 0)
    source = tmp_path / "codes.npz"
    np.savez(source, bottom_train=bottom)
    with pytest.raises(UserError, match="has no array top_train: of two maps of codes both"):
        gpc.train(settings(source), tmp_path / "run")
    np.savez(source, x_train=bottom)
    with pytest.raises(UserError, match=r"arrays top_train and bottom_train\), got \(4, 4, 1\)"):
        gpc.train(settings(source), tmp_path / "run")
    np.savez(source, top_train=top, bottom_train=bottom)
    ordered = gpc.get_config("digits", [f"data.source=npz:{source}", f"data.levels={K}"])
    with pytest.raises(UserError, match="are for model.family=code_hierarchy"):
        gpc.train(ordered, tmp_path / "run")
    one = gpc.get_config("codes", [f"data.source=npz:{source}", f"data.levels={K}"])
    with pytest.raises(UserError, match="5 colour groups.*are for model.family=code_hierarchy"):
        gpc.train(one, tmp_path / "run")


def test_two_maps_are_not_mirrored_as_one_image(tmp_path):
    source = save(tmp_path / "codes.npz")
    with pytest.raises(UserError, match="data.flips is of images"):
        gpc.train(settings(source, "data.flips=true"), tmp_path / "run")
