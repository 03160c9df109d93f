"""Models conditioned on vectors, tags and maps of a data set, from training to export."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from runs import OVERRIDES, final_arrays
from scripts import call, prompts, read_npz

import gated_pixelcnn as gpc
from gated_pixelcnn import data
from gated_pixelcnn.cli import evaluate, export, sample
from gated_pixelcnn.errors import UserError

NAMES = ("top", "left", "depth")


def write_data(path, kind, names=NAMES):
    """Images that follow from their vectors, or maps that are half of the image, but for noise."""
    random = np.random.default_rng(0)
    splits = {}
    for split, num in (("train", 160), ("test", 60)):
        h = random.integers(0, 2, (num, 3)).astype(np.float32)
        images = np.zeros((num, 8, 8, 1), np.uint8)
        for image, (top, left, depth) in zip(images, h, strict=True):
            image[:4] += np.uint8(100 * top)
            image[:, :4] += np.uint8(80 * left)
            image += np.uint8(60 * depth)
        images += random.integers(0, 16, images.shape).astype(np.uint8)
        if kind == "spatial":
            h = np.concatenate([images / 255, np.zeros_like(images)], axis=-1)
        splits |= {f"x_{split}": images, f"h_{split}": h}
    np.savez(path, **splits, **({"h_names": names} if kind == "vector" else {}))
    return f"npz:{path}"


def settings(source, kind, *more):
    changes = [f"data.source={source}", "data.levels=16", f"model.condition={kind}"]
    return gpc.get_config("digits", [*OVERRIDES, *changes, *more])


LONGER = ("train.steps=60", "train.learning_rate=0.02", "train.samples=4", "train.eval_every=30")


@pytest.fixture(scope="module", name="runs")
def make_runs(tmp_path_factory):
    """{kind: (work directory, source)}."""
    found = {}
    for kind in ("vector", "spatial"):
        folder = tmp_path_factory.mktemp(kind)
        source = write_data(folder / "data.npz", kind)
        gpc.train(settings(source, kind, *LONGER), folder / "run")
        found[kind] = folder / "run", source
    return found


def test_the_run_knows_the_entries_and_their_names(runs):
    for kind, names in (("vector", list(NAMES)), ("spatial", [])):
        workdir, source = runs[kind]
        record = json.loads((workdir / "config.json").read_text())
        size = {"vector": 3, "spatial": 2}[kind]
        assert (record["condition_size"], record["condition_names"]) == (size, names)
        model = gpc.load(workdir)
        assert (model.condition_kind, model.condition_size) == (kind, size)
        assert model.condition_names == tuple(names) and model.class_names == ()
        built = gpc.build_model(settings(source, kind))
        assert (built.condition_size, built.condition_names) == (size, tuple(names))


@pytest.mark.parametrize("kind", ["vector", "spatial"])
def test_a_condition_of_another_image_costs_bits(runs, kind, monkeypatch, capsys):
    workdir, _ = runs[kind]
    call(evaluate, monkeypatch, f"--workdir={workdir}", "--json")
    result = json.loads(capsys.readouterr().out)
    assert result["condition"] == kind
    assert result["wrong_condition_bits_per_dim"] > result["bits_per_dim"] + 0.05
    call(evaluate, monkeypatch, f"--workdir={workdir}", "--nobaselines")
    what = {"vector": "another's vector", "spatial": "another's maps"}[kind]
    assert what in capsys.readouterr().out


def test_the_other_condition_is_half_the_images_away(runs):
    workdir, source = runs["vector"]
    model = gpc.load(workdir)
    images, vectors = data.load(
        data.DataConfig(source=source, levels=16), condition="vector"
    ).test.take(60)
    found = gpc.evaluate(model, images, np.roll(vectors, -30, axis=0))["bits_per_dim"]
    from gated_pixelcnn.data.batches import ArraySplit
    from gated_pixelcnn.evaluation.bits import MismatchedCondition
    from gated_pixelcnn.evaluation.images import Images

    for size in (7, 30, 64):
        chosen = Images(ArraySplit(images, vectors), size)
        result = MismatchedCondition().evaluate(model, chosen)
        assert result["wrong_condition_bits_per_dim"] == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("kind", ["vector", "spatial"])
def test_a_run_that_is_stopped_goes_on_as_if_it_had_not_been(kind, tmp_path):
    source = write_data(tmp_path / "data.npz", kind)
    for name, steps in (("whole", (6,)), ("parts", (2, 6))):
        for count in steps:
            gpc.train(settings(source, kind, f"train.steps={count}"), tmp_path / name)
    found, wanted = final_arrays(tmp_path / "parts"), final_arrays(tmp_path / "whole")
    assert found.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"names": ("top", "left", "width")},
            "condition_names: .*'depth'] in the run, .*'width'] now",
        ),
        ({"kind": "spatial"}, "model.condition: vector in the run, spatial now"),
    ],
)
def test_other_conditions_are_another_run(runs, changes, message, tmp_path):
    workdir, _ = runs["vector"]
    kind = changes.get("kind", "vector")
    source = write_data(tmp_path / "data.npz", **{"kind": "vector"} | changes)
    with pytest.raises(UserError, match=message):
        gpc.train(settings(source, kind, *LONGER), workdir)


def test_grids_of_training_show_images_of_the_data_above_samples(runs):
    for workdir, _ in runs.values():
        grid = Image.open(workdir / "samples" / "step-000000060.png")
        assert grid.width > grid.height  # four columns, two rows


def test_tags_and_vectors_are_what_is_drawn_from(runs, monkeypatch, tmp_path):
    workdir, _ = runs["vector"]
    model = gpc.load(workdir)
    np.savez(tmp_path / "h.npz", h=[[1, 1, 0], [0, 0, 0.5]])
    for number, flags in enumerate(
        (["--tags=left,top", "--tags=depth=0.5"], [f"--vector={tmp_path}/h.npz"])
    ):
        target = tmp_path / f"{number}.npz"
        files = [f"--npz={target}", f"--output={tmp_path}/a.png"]
        call(sample, monkeypatch, f"--workdir={workdir}", "--num=4", "--nojit", *flags, *files)
        drawn = read_npz(target)
        wanted = np.float32([[1, 1, 0], [0, 0, 0.5]] * 2)
        np.testing.assert_array_equal(drawn["h"], wanted)
        np.testing.assert_array_equal(drawn["images"], model.sample(condition=wanted, jit=False))
    again = ["--num=4", f"--vector={target}", f"--output={tmp_path}/b.png"]
    call(sample, monkeypatch, f"--workdir={workdir}", "--nojit", *again)


def test_a_map_is_an_array_or_an_image_file(tmp_path):
    model = gpc.GatedPixelCNN((4, 6, 1), 8, 4, 2, condition="spatial", condition_size=3)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.savez(tmp_path / "a.npz", h=pixels / 255)
    for name in ("a.png", "a.npz"):
        found = prompts(model, map=str(tmp_path / name), num=2).condition
        np.testing.assert_allclose(found, np.stack([pixels / 255] * 2), atol=1e-6)
    for size, message in ((2, "2 maps of this model, only 1 or 3"), (1, "has colours, but gray")):
        model = gpc.GatedPixelCNN((4, 6, 1), 8, 4, 2, condition="spatial", condition_size=size)
        with pytest.raises(UserError, match=message):
            prompts(model, map=str(tmp_path / "a.png"))


def vector_model():
    return gpc.GatedPixelCNN(
        (4, 4, 1), 8, 4, 2, condition="vector", condition_size=3, condition_names=NAMES
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"conditioned on 3 numbers \(top, left, depth\): give one of --vector and --tags"),
        ({"tags": ["top"], "vector": "a.npz"}, "give one of --vector and --tags"),
        ({"tags": ["tpo"]}, "--tags: 'tpo' is not one of the model's; did you mean 'top'"),
        ({"tags": ["top=x"]}, "'top=x' is not one of the model's"),
        ({"tags": ["top=inf"]}, "top=inf is not a finite number"),
        ({"label": "1"}, "--label is not possible: .* on a vector; give --vector or --tags"),
        ({"map": "a.png"}, "--map is not possible: .* on a vector"),
        ({"vector": "absent.npz"}, "there is no file absent.npz"),
    ],
)
def test_conditions_that_are_wrong_are_told_in_one_sentence(given, message):
    with pytest.raises(UserError, match=message):
        prompts(vector_model(), condition_names=NAMES, **given)


def test_vectors_of_other_sizes_or_not_finite_are_refused(tmp_path):
    for h, message in (
        (np.zeros((2, 4)), r"shape \[2, 4\], but this model is conditioned on \[N, 3\]"),
        (np.zeros((0, 3)), r"shape \[0, 3\]"),
        (np.full(3, np.nan), "not finite"),
        (np.zeros((1, 1, 3)), r"vectors \[N, D\]"),
    ):
        np.savez(tmp_path / "h.npz", h=h)
        with pytest.raises(UserError, match=message):
            prompts(vector_model(), vector=str(tmp_path / "h.npz"))
    with pytest.raises(UserError, match="--tags needs names: this model's vector has none"):
        prompts(vector_model(), tags=["top"])
    for kind, flag in ((None, "label"), ("label", "tags"), ("image", "vector")):
        arguments = {"label": {"condition_size": 2}, "image": {"code_size": 2}}.get(kind, {})
        model = gpc.GatedPixelCNN((4, 4, 1), 8, 4, 2, condition=kind, **arguments)
        value = ["1"] if flag == "tags" else "1.npz"
        with pytest.raises(UserError, match=f"--{flag} is not possible: this model "):
            prompts(model, **{flag: value})


def test_other_data_must_have_the_same_entries(runs, monkeypatch, tmp_path):
    workdir, _ = runs["vector"]
    other = write_data(tmp_path / "other.npz", "vector", ("left", "top", "depth"))
    with pytest.raises(UserError, match="number 0 of the condition is 'left' in .*, but 'top' of"):
        call(evaluate, monkeypatch, f"--workdir={workdir}", f"--source={other}")
    arrays = dict(np.load(tmp_path / "other.npz"))
    del arrays["h_names"]
    arrays |= {name: arrays[name][:, :2] for name in ("h_train", "h_test")}
    np.savez(tmp_path / "small.npz", **arrays)
    with pytest.raises(UserError, match="has 2 entries, but that of the model 3"):
        call(evaluate, monkeypatch, f"--workdir={workdir}", f"--source=npz:{tmp_path}/small.npz")


def test_a_run_beside_must_have_the_same_condition(runs, monkeypatch, tmp_path):
    """Told before anything is computed."""
    monkeypatch.setattr(evaluate, "check_writable", None)
    (vector, source), (maps, _) = runs["vector"], runs["spatial"]
    plain = tmp_path / "plain"
    gpc.train(settings(source, "none", "train.steps=1"), plain)
    other = write_data(tmp_path / "other.npz", "vector", ("left", "top", "depth"))
    gpc.train(settings(other, "vector", "train.steps=1"), tmp_path / "other")
    for workdir, beside, message in (
        (plain, vector, "conditioned on vectors, but the images of .* with neither vectors nor"),
        (maps, vector, "conditioned on vectors, but the images of .* come with maps here"),
        (vector, maps, "conditioned on maps, but the images of .* come with vectors here"),
        (vector, tmp_path / "other", "number 0 of the condition is 'top' in .*, but 'left' of"),
    ):
        flags = [f"--workdir={workdir}", f"--beside={beside}", f"--csv={tmp_path}/a.csv"]
        with pytest.raises(UserError, match=f"--beside={beside}: .*{message}"):
            call(evaluate, monkeypatch, *flags)


def test_an_exported_model_has_the_names_and_draws_from_vectors(runs, monkeypatch, tmp_path):
    workdir, _ = runs["vector"]
    call(export, monkeypatch, f"--workdir={workdir}", f"--output={tmp_path}/export")
    served = gpc.load_saved_model(tmp_path / "export")
    assert served.condition_names == NAMES
    files = [f"--npz={tmp_path}/a.npz", f"--output={tmp_path}/a.png"]
    flags = [f"--saved_model={tmp_path}/export", "--tags=top", "--num=2"]
    call(sample, monkeypatch, *flags, *files)
    vector = np.float32([[1, 0, 0]] * 2)
    np.testing.assert_array_equal(
        read_npz(tmp_path / "a.npz")["images"],
        gpc.load(workdir).sample(condition=vector, jit=False),
    )
    assert served.signatures["sample"].structured_input_signature[1]["vector"].dtype == tf.float32


def test_names_of_entries_are_in_the_keras_file(tmp_path):
    model = vector_model()
    model.build()
    model.save(tmp_path / "model.keras")
    assert gpc.load(tmp_path / "model.keras").condition_names == NAMES
    with pytest.raises(ValueError, match="names of the 3 entries of this model, got 1: top"):
        model.condition_names = ("top",)
