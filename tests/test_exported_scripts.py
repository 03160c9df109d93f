"""export.py, and the scripts that take what it wrote instead of a run."""

import json

import numpy as np
import pytest
from families import build, images_of
from scripts import call, read_npz

import gated_pixelcnn as gpc
from gated_pixelcnn.cli import evaluate, export, sample
from gated_pixelcnn.errors import UserError


@pytest.fixture(scope="module", name="run")
def make_run(tmp_path_factory):
    """Directory of a small model of the digits, conditioned on the class."""
    workdir = tmp_path_factory.mktemp("runs") / "digits"
    changes = ["train.steps=20", "train.warmup_steps=0", "train.samples=0"]
    changes += ["model.layers=2", "model.features=8"]
    gpc.train(gpc.get_config("digits", changes), workdir)
    return workdir


@pytest.fixture(scope="module", name="versions")
def make_versions(run, tmp_path_factory):
    """Directory of one version of the model, which takes fewer images than are asked for."""
    versions = tmp_path_factory.mktemp("versions")
    gpc.export(run, versions, max_images=7)
    return versions


def test_export_prints_where_it_wrote_and_the_signatures(run, tmp_path, monkeypatch, capsys):
    call(export, monkeypatch, f"--workdir={run}", f"--output={tmp_path}", "--max_images=3")
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"SavedModel: {tmp_path / '1'}"
    assert second.startswith("signatures: ") and "log_prob_bytes" in second
    assert gpc.load_saved_model(tmp_path / "1").max_images == 3


def test_checkpoint_flag_chooses_the_weights(run, tmp_path, monkeypatch):
    for checkpoint in ("best", "latest"):
        output = tmp_path / checkpoint
        call(
            export,
            monkeypatch,
            f"--workdir={run}",
            f"--output={output}",
            f"--checkpoint={checkpoint}",
        )
        images, labels = np.zeros((1, 8, 8, 1), np.uint8), np.array([0])
        np.testing.assert_allclose(
            gpc.load_saved_model(output).log_prob(images, labels),
            gpc.load(run, checkpoint).log_prob(images, labels),
            rtol=1e-5,
        )


@pytest.mark.slow
def test_warm_up_requests_can_be_left_out(run, versions, tmp_path, monkeypatch):
    call(export, monkeypatch, f"--workdir={run}", f"--output={tmp_path}", "--warm_up=false")
    extra = [path.name for path in (tmp_path / "1" / "assets.extra").iterdir()]
    assert extra == ["gated_pixelcnn.json"]
    assert (versions / "1" / "assets.extra" / "tf_serving_warmup_requests").is_file()


def test_evaluation_of_a_saved_model_is_that_of_its_run(run, versions, monkeypatch, capsys):
    results = []
    for where in (f"--workdir={run}", f"--saved_model={versions}"):
        call(evaluate, monkeypatch, where, "--json", "--num_images=50")
        results.append(json.loads(capsys.readouterr().out))
    of_run, of_saved_model = results
    assert of_saved_model.pop("saved_model") == str(versions / "1")
    assert of_run.pop("workdir") == str(run)
    for result in results:
        del result["images_per_second"]
    assert of_run.keys() == of_saved_model.keys()
    for key, value in of_run.items():
        rounded = isinstance(value, float | list)
        assert of_saved_model[key] == (pytest.approx(value) if rounded else value), key


@pytest.mark.parametrize("more", [[], ["--keep_rows=3"]], ids=["drawn", "completed"])
def test_images_of_a_saved_model_are_those_of_its_run(run, versions, tmp_path, monkeypatch, more):
    arrays = []
    if more:
        given = np.random.default_rng(0).integers(0, 16, (2, 8, 8, 1)).astype(np.uint8)
        np.savez(tmp_path / "given.npz", images=given, levels=16)
        more = [*more, f"--given={tmp_path / 'given.npz'}"]
    for index, where in enumerate((f"--workdir={run}", f"--saved_model={versions / '1'}")):
        files = [f"--npz={tmp_path}/{index}.npz", f"--output={tmp_path}/{index}.png"]
        how = ["--label=all", "--num=20", "--seed=3", "--temperature=0.8", *more]
        call(sample, monkeypatch, where, *files, *how)
        arrays.append(read_npz(tmp_path / f"{index}.npz"))
    assert arrays[0].keys() == arrays[1].keys()
    for name in arrays[0]:
        np.testing.assert_array_equal(arrays[0][name], arrays[1][name])
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "1.png").read_bytes()


@pytest.mark.parametrize("family", ["gated_pixelcnn", "code_hierarchy"])
def test_scripts_take_the_export_of_a_model_that_no_script_trained(
    family, tmp_path, monkeypatch, capsys
):
    shape, levels = ((4, 4, 5), 300) if family == "code_hierarchy" else ((4, 4, 1), 300)
    model = build(family, image_shape=shape, levels=levels, values="categorical")
    model.build()
    where = f"--saved_model={gpc.export(model, tmp_path / 'export')}"
    files = [f"--npz={tmp_path}/drawn.npz", f"--output={tmp_path}/drawn.png"]
    call(sample, monkeypatch, where, "--num=2", *files)
    images = images_of(model, 3)
    np.savez(tmp_path / "given.npz", images=images, levels=levels)
    given = [f"--given={tmp_path}/given.npz", "--keep_rows=4"]
    call(sample, monkeypatch, where, *given, "--num=3", *files)
    np.testing.assert_array_equal(read_npz(tmp_path / "drawn.npz")["images"], images)
    arrays = {"x": images}
    if family == "code_hierarchy":
        arrays = dict(zip(("top", "bottom"), gpc.unpack_codes(images), strict=True))
    splits = {f"{name}_{split}": x for name, x in arrays.items() for split in ("train", "test")}
    np.savez(tmp_path / "test.npz", **splits)
    capsys.readouterr()
    source = f"--source=npz:{tmp_path}/test.npz"
    call(evaluate, monkeypatch, where, source, "--json", "--nobaselines")
    nats = -model.log_prob(images).numpy().mean()
    assert json.loads(capsys.readouterr().out)["nats"] == pytest.approx(nats, rel=1e-4)


@pytest.mark.parametrize("script", [evaluate, sample])
def test_mistake_with_saved_model_is_one_clear_sentence(
    script, run, versions, tmp_path, monkeypatch
):
    for arguments, message in [
        (
            [f"--workdir={run}", f"--saved_model={versions}"],
            "give either --workdir or --saved_model",
        ),
        ([f"--saved_model={tmp_path / 'absent'}"], "there is no directory .*absent"),
        ([f"--saved_model={tmp_path}"], "holds no SavedModel"),
        ([f"--saved_model={run}"], "holds no SavedModel"),
    ]:
        with pytest.raises(UserError, match=message):
            call(script, monkeypatch, *arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "--workdir is missing"),
        (["--workdir=absent"], "absent is not the work directory of a run"),
        (["--workdir=absent", "--max_images=0"], "--max_images must be at least 1, got 0"),
        (["runs/a"], "unexpected argument 'runs/a'"),
    ],
)
def test_mistake_in_export_is_one_clear_sentence(arguments, message, monkeypatch):
    with pytest.raises(UserError, match=message):
        call(export, monkeypatch, *arguments)
