"""Runs of AGAVE: training in phases, and what the scripts do with a run."""

import json

import numpy as np
import pytest
from agave_runs import SHORT, config
from families import images_of
from PIL import Image
from runs import assert_same_run, metrics
from scripts import call, read_npz

import gated_pixelcnn as gpc
from gated_pixelcnn import cli
from gated_pixelcnn.cli import evaluate, sample
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation.latents import DETAILS
from gated_pixelcnn.models.families.agave import AGAVE
from gated_pixelcnn.models.families.auxiliary import AuxiliaryModel
from gated_pixelcnn.runs import checkpoints
from gated_pixelcnn.runs.load import check_trained, load


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("agave")
    gpc.train(config("train.samples=4", "train.sample_every=4"), workdir)
    return workdir


# Training in phases


def test_a_run_tells_what_z_holds(run):
    reports = [line for line in metrics(run) if "validation_bits_per_dim" in line]
    assert [line["step"] for line in reports] == [2, 4]
    names = {f"validation_{name}" for name in DETAILS if name != "kl_of_units"}
    assert all(names < line.keys() for line in reports)
    assert any("train_objective" in line for line in metrics(run))
    assert (run / "samples" / "step-000000004.png").exists()


@pytest.mark.parametrize("part", ["vae", pytest.param("decoder", marks=pytest.mark.slow)])
def test_a_run_of_one_part_changes_no_other_and_goes_on_when_stopped(part, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    drawing = ["train.samples=4", "train.sample_every=2"]
    gpc.train(config(f"model.train_only={part}", *drawing), whole)
    for steps in (2, 4):
        gpc.train(config(f"model.train_only={part}", f"train.steps={steps}"), cut)
    assert_same_run(cut, whole)
    model = load(whole)
    trained = {weight.path.split("/")[1] for weight in model.trainable_variables}
    assert trained == {"vae": {"network"}, "decoder": {"decoder"}}[part]
    other = {"vae": "decoder", "decoder": "vae"}[part]
    refused = f"the {other} of this model was not trained .*train.init_from"
    with pytest.raises(UserError, match=refused):
        check_trained(model)
    with pytest.raises(UserError, match=f"--beside={whole}: {refused}"):
        cli.load_beside(whole, model)
    assert not (whole / "samples").exists()  # of a part that nobody trained
    reports = [line for line in metrics(whole) if "validation_bits_per_dim" in line]
    assert ("validation_active_units" in reports[0]) == (part == "vae")


def test_submodels_trained_apart_are_where_a_training_of_all_starts(tmp_path):
    parts = {part: tmp_path / part for part in ("vae", "decoder")}
    for part, workdir in parts.items():
        gpc.train(config(f"model.train_only={part}", *SHORT), workdir)
    start = ",".join(map(str, parts.values()))
    with pytest.raises(UserError, match="vae has a submodel of the runs before it"):
        gpc.train(config(f"train.init_from={start},{parts['vae']}"), tmp_path / "twice")
    rate = "train.learning_rate=1e-30"  # nothing moves
    gpc.train(config(f"train.init_from={start}", rate, *SHORT), tmp_path / "all")
    model = load(tmp_path / "all")
    assert check_trained(model) is None
    images = images_of(model, 3)
    vae, decoder = (load(workdir) for workdir in parts.values())
    np.testing.assert_allclose(model.encode_latents(images), vae.encode_latents(images), rtol=1e-5)
    np.testing.assert_allclose(
        model._decoder_alone(images), decoder.log_prob_terms(images)[:, 0], rtol=1e-5
    )
    # The stream, which was in neither run, is set by the first images, as they are seen now, and
    # so that it disturbs the decoder little.
    f, *_ = model.infer(images, model.posterior_noise(images))
    assert 0.03 < np.std(model.maps(f)) < 0.3


@pytest.mark.slow
def test_the_control_starts_from_all_of_a_run(run, tmp_path):
    changes = [f"train.init_from={run}", "train.learning_rate=1e-30", *SHORT]
    gpc.train(config(*changes, preset="agave_no_auxiliary"), tmp_path / "control")
    control, model = load(tmp_path / "control"), load(run)
    assert control.auxiliary_weight == 0 and control.kl_weight == 1
    images = images_of(model, 3)
    np.testing.assert_allclose(control.log_prob(images), model.log_prob(images), rtol=1e-5)


@pytest.mark.slow
def test_a_run_that_goes_on_needs_not_what_it_started_from(run, tmp_path):
    for start, steps in ((run, 1), ("nowhere", 2)):
        changes = [f"train.init_from={start}", f"train.steps={steps}", "train.eval_every=0"]
        gpc.train(config(*changes), tmp_path)
    assert checkpoints.Checkpoints(tmp_path / "checkpoints").steps()[-1] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["model.features=6"], "cannot start from .* the models differ: network/.* has the shape"),
        (["model.blocks=2"], "the models differ: network/block_.* None there"),
        (["model.decoder.layers=1"], "the models differ: decoder/"),
    ],
)
def test_a_run_of_another_architecture_is_no_start(run, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        gpc.train(config(f"train.init_from={run}", *changes), tmp_path / "a")


@pytest.mark.parametrize("family", ["vae", "agave"])
def test_a_model_with_latent_numbers_is_no_part(family):
    part = {"family": family}
    for name, arguments in {
        "prior": {"prior": part},
        "conditional": {"conditional": part},
        "decoder": part,
    }.items():
        with pytest.raises(ValueError, match=f"family of {name} must be one of .*, got '{family}'"):
            if name == "decoder":
                AGAVE((4, 4, 3), 8, part)
            else:
                AuxiliaryModel((4, 4, 3), 8, **arguments)


def test_a_run_of_another_family_is_no_start(run, tmp_path):
    other = [
        "data.source=embedded:digits8",
        "data.levels=16",
        "train.steps=1",
        f"train.init_from={run}",
    ]
    with pytest.raises(UserError, match="it is of the family AGAVE, not GatedPixelCNN"):
        gpc.train(gpc.get_config("digits", other), tmp_path / "a")


# Scripts


def test_evaluate_tells_the_terms_and_what_z_holds(run, monkeypatch, capsys):
    arguments = [f"--workdir={run}", "--num_images=6", "--importance_samples=3"]
    call(evaluate, monkeypatch, *arguments, "--json")
    result = json.loads(capsys.readouterr().out)
    assert result["is_lower_bound"]
    assert sum(result["terms"].values()) == pytest.approx(result["bits_per_dim"])
    assert result["details"].keys() == DETAILS.keys() - {"kl_of_units"}
    weighted = result["importance_weighted"]
    assert weighted["draws"] == 3
    assert weighted["bits_per_dim"] < result["bits_per_dim"] + 0.1
    call(evaluate, monkeypatch, *arguments)
    table = capsys.readouterr().out
    for name in ("image given z", "KL divergence", "3 draws of z", "active units of z"):
        assert name in table


def test_several_images_stand_beside_the_f_of_their_z(run, tmp_path, monkeypatch):
    arguments = [f"--workdir={run}", f"--output={tmp_path}/a.png", f"--npz={tmp_path}/a.npz"]
    call(sample, monkeypatch, *arguments, "--per_latent=3", "--num=6", "--nojit")
    arrays = read_npz(tmp_path / "a.npz")
    images, f = arrays["images"], arrays["stage_1"]
    model = load(run)
    z = np.resize(model.draw_latents(0, np.arange(2)), (6, *model.network.latent_shape))
    wanted = model.sample_stages(stage=z, jit=False)
    np.testing.assert_array_equal(f, wanted[0])
    np.testing.assert_array_equal(images, wanted[1])
    width, height = Image.open(tmp_path / "a.png").size
    assert width / height == pytest.approx(4 / 2, rel=0.1)  # f(z) and three images, two rows


def test_samples_of_a_photo_have_its_z(run, tmp_path, monkeypatch):
    photo = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    arguments = [f"--workdir={run}", f"--npz={tmp_path}/a.npz", f"--output={tmp_path}/a.png"]
    like = f"--like={tmp_path}/photo.png"
    call(sample, monkeypatch, *arguments, like, "--nojit")
    with pytest.raises(UserError, match="--label is not possible: .* without a condition"):
        call(sample, monkeypatch, *arguments, like, "--label=1")
    model = load(run)
    levels = (photo.astype(int) * 16 // 256).astype(np.uint8)[None, ..., None]
    f = model.show_latents(model.encode_latents(levels))
    arrays = read_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(arrays["stage_1"], np.repeat(f, 4, axis=0))


@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_interpolation_goes_from_one_z_to_the_other(run, tmp_path, monkeypatch, path):
    arguments = [f"--workdir={run}", f"--npz={tmp_path}/a.npz", f"--output={tmp_path}/a.png"]
    arguments += ["--interpolate=0,5", "--num=4", "--nojit", f"--path={path}"]
    call(sample, monkeypatch, *arguments)
    model = load(run)
    ends = model.show_latents(model.draw_latents(0, np.array([0, 5])))
    f = read_npz(tmp_path / "a.npz")["stage_1"]
    np.testing.assert_array_equal(f[[0, -1]], ends)


@pytest.mark.slow
def test_reconstructions_of_several_weights_stand_side_by_side(run, tmp_path, monkeypatch):
    gpc.train(config("model.kl_weight=5.0", *SHORT), tmp_path / "five")
    Image.fromarray(np.full((8, 8), 99, np.uint8)).save(tmp_path / "photo.png")
    arguments = [f"--workdir={run}", f"--npz={tmp_path}/a.npz", f"--output={tmp_path}/a.png"]
    arguments += [f"--reconstruct={tmp_path}/photo.png", "--num=2", "--nojit"]
    call(sample, monkeypatch, *arguments, f"--beside={tmp_path}/five")
    arrays = read_npz(tmp_path / "a.npz")
    assert set(arrays) == {"originals", "f_2", "f_5", "image_2", "image_5"}
    model = load(tmp_path / "five")
    z = model.encode_latents(arrays["originals"])
    np.testing.assert_array_equal(arrays["f_5"], model.show_latents(z))
    _, drawn = model.sample_stages(stage=np.repeat(z, 2, axis=0), jit=False)
    np.testing.assert_array_equal(arrays["image_5"], drawn)
    with pytest.raises(UserError, match=r"a run with λ = 2 \(model.kl_weight\) is there already"):
        call(sample, monkeypatch, *arguments, f"--beside={run}")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--per_latent=2", "--label=1"], "leave out --label"),
        (["--per_latent=0"], "--per_latent must be at least 1, got 0"),
        (["--interpolate=0,a.png"], "both ends must be numbers of a z, 0…2147483647, or both"),
        (["--interpolate=0,99999999999999999999"], "both ends must be numbers of a z"),
        (
            ["--most_probable"],
            "--most_probable and --reduce_log_scale need --workdir of a model that draws from",
        ),
        (["--given=x.png", "--keep_rows=2"], "draws an image in several stages"),
        (["--interpolate=1"], "--interpolate needs two ends"),
        (["--upscale=x.png"], "does not draw a small image first"),
    ],
)
def test_flags_that_do_not_fit_are_one_sentence(run, monkeypatch, flags, message):
    with pytest.raises(UserError, match=message):
        call(sample, monkeypatch, f"--workdir={run}", *flags)


def test_an_export_gives_the_same_bounds_and_images(run, tmp_path):
    exported, model = gpc.load_saved_model(gpc.export(run, tmp_path)), load(run)
    images = images_of(model, 3)
    np.testing.assert_allclose(
        exported.log_prob_terms(images), model.log_prob_terms(images), rtol=1e-5
    )
    np.testing.assert_array_equal(exported.sample(3, seed=4), model.sample(3, seed=4, jit=False))
