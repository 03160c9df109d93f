"""AGAVE: the objective, its phases, what a run reports, and what the scripts do with it."""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from families import DECODERS, images_of
from families import latent_model as build
from PIL import Image
from runs import assert_same_run, metrics
from test_cli import call, read_npz

import gated_pixelcnn as gpc
from gated_pixelcnn import cli, sampling
from gated_pixelcnn.cli import evaluate, sample
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation.latents import DETAILS
from gated_pixelcnn.models.families.agave import AGAVE
from gated_pixelcnn.models.families.auxiliary import AuxiliaryModel
from gated_pixelcnn.runs import checkpoints
from gated_pixelcnn.runs.load import check_trained, load
from gated_pixelcnn.spec import bits_per_dim

ROOT = Path(__file__).parents[1]
OVERRIDES = [
    "data.source=embedded:digits8",
    "data.levels=16",
    "model.features=4",
    "model.blocks=1",
    "model.latents=2",
    "model.halvings=1",
    "model.stream_features=3",
    "model.decoder.features=4",
    "model.decoder.layers=2",
    "model.decoder.first_kernel_size=3",
    "train.batch_size=8",
    "train.steps=4",
    "train.log_every=2",
    "train.eval_every=2",
    "train.eval_images=10",
    "train.samples=0",
]
SHORT = ["train.steps=1", "train.eval_every=0"]
# The presets with another decoder, of which graphs are traced in a moment.
PRESET = """
import gated_pixelcnn as gpc

def get_config():
    config = gpc.get_config("{preset}").to_dict()
    config["model"]["decoder"] = dict(family="gated_pixelcnn")
    return config
"""


def config(*changes, preset="agave"):
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(PRESET.format(preset=preset))
        file.flush()
        return gpc.get_config(file.name, [*OVERRIDES, *changes])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("agave")
    gpc.train(config("train.samples=4", "train.sample_every=4"), workdir)
    return workdir


# The model


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("auxiliary", ["image", "half", "gray"])
def test_what_is_maximised_is_image_and_auxiliary_less_the_weighted_divergence(
    decoder, auxiliary, monkeypatch
):
    model = build(
        "agave", decoder=decoder, auxiliary=auxiliary, auxiliary_weight=0.7, kl_weight=3.0
    )
    images = images_of(model, 3)
    monkeypatch.setattr(model, "training_noise", model.posterior_noise)
    image, divergence = model.log_prob_parts(images).numpy().T
    f, *_ = model.infer(images, model.posterior_noise(images))
    nats = -(image + 0.7 * model.view_log_prob(f, images) + 3.0 * divergence)
    loss = model.training_loss(images, None, training=True)
    np.testing.assert_allclose(loss, bits_per_dim(nats, (4, 6, 3)), rtol=1e-5)


def test_a_decoder_trained_alone_is_that_of_maps_of_zeros():
    model = build("agave", train_only="decoder")
    images = images_of(model, 3)
    zeros = np.zeros((3, *model.image_shape[:2], model.decoder.condition_size))
    wanted = model.decoder.log_prob_parts_of(images, zeros).numpy().sum(axis=1)
    np.testing.assert_allclose(model.log_prob_parts(images)[:, 0], wanted)
    loss = model.training_loss(images, None, training=True)
    np.testing.assert_allclose(loss, bits_per_dim(-wanted, (4, 6, 3)), rtol=1e-5)


@pytest.mark.parametrize("auxiliary", ["image", "half", "quarter", "gray"])
def test_the_image_is_predicted_from_all_of_f(auxiliary):
    model = build("agave", (4, 8, 3), decoder="pixelcnn_pp", auxiliary=auxiliary)
    images = images_of(model, 1)
    f = tf.constant(np.random.default_rng(0).normal(size=(1, *model.view.image_shape)))
    with tf.GradientTape() as tape:
        tape.watch(f)
        first = model.decoder(images, model.maps(f))[:, 0, 0]
    assert f.shape[1:] == model.view.image_shape
    assert (np.abs(tape.gradient(first, f)) > 0).all()  # the stream sees what comes later, too


def test_the_decoder_of_f_is_a_density_model_by_itself():
    """Given f(z), fast and naive sampling draw the same images: the stream is no leak."""
    model = build("agave", dtype="float32")
    maps = model.maps(model.network.decode(model.draw_latents(0, np.arange(3))))
    noise = sampling.noise(5, tf.range(3), model.decoder)
    naive = tf.function(sampling.sample_naively, autograph=False)(model.decoder, noise, maps)
    latents = model.draw_latents(0, np.arange(3))
    _, fast = model.sample_stages(stage=latents, seed=5, jit=False)
    np.testing.assert_array_equal(fast, naive)


@pytest.mark.slow
def test_replicas_share_the_work_of_one_device():
    """By a process of its own, as devices must be set up first."""
    code = """
import sys
sys.path.insert(0, "tests")
import numpy as np, tensorflow as tf
import gated_pixelcnn as gpc
from gated_pixelcnn.training.strategies import divide_cpu, make_strategy
from gated_pixelcnn.models.latent_variable import LatentVariableModel
import tempfile, test_agave
from runs import final_arrays
from pathlib import Path
LatentVariableModel.training_noise = LatentVariableModel.posterior_noise
divide_cpu(2)
found = []
for strategy in (None, make_strategy("mirrored")):
    with tempfile.TemporaryDirectory() as folder:
        gpc.train(test_agave.config("train.eval_every=4"), folder, strategy)
        found.append(final_arrays(Path(folder)))
for name in found[0]:
    np.testing.assert_allclose(found[1][name], found[0][name], rtol=2e-3, atol=2e-5, err_msg=name)
print("equal")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout.endswith("equal\n"), result.stderr[-2000:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"auxiliary": "greys"}, "auxiliary is 'greys'; did you mean 'gray'"),
        ({"auxiliary": "gray", "image_shape": (4, 4, 1)}, "images of 1 colours have no gray view"),
        ({"auxiliary": "quarter", "image_shape": (4, 6, 3)}, "4x6 .* cannot be divided by 4"),
        ({"auxiliary_levels": 9}, "levels of a view must be 2…8, got 9"),
        ({"auxiliary_weight": -1.0}, "auxiliary_weight must be at least 0 and finite, got -1"),
        ({"kl_weight": float("nan")}, "kl_weight must be at least 0 and finite, got nan"),
        ({"kl_weight": math.inf}, "kl_weight must be at least 0 and finite, got inf"),
        ({"train_only": "encoder"}, "train_only is 'encoder'"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        build("agave", **arguments)


def test_a_decoder_that_cannot_see_f_is_refused():
    with pytest.raises(ValueError, match="decoder: .*None, 'label' or 'vector'"):
        AGAVE((4, 4, 3), 8, {"family": "auxiliary"})
    with pytest.raises(ValueError, match="family of decoder must be one of"):
        AGAVE((4, 4, 3), 8, {"family": "embedding"})


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
    refused = f"the {other} of this model was not trained .*train.start"
    with pytest.raises(UserError, match=refused):
        check_trained(model)
    with pytest.raises(UserError, match=f"--beside={whole}: {refused}"):
        cli.load_beside(whole, model)
    assert not (whole / "samples").exists()  # of a part that nobody trained
    reports = [line for line in metrics(whole) if "validation_bits_per_dim" in line]
    assert ("validation_active_units" in reports[0]) == (part == "vae")


def test_parts_trained_apart_are_where_a_training_of_all_starts(tmp_path):
    parts = {part: tmp_path / part for part in ("vae", "decoder")}
    for part, workdir in parts.items():
        gpc.train(config(f"model.train_only={part}", *SHORT), workdir)
    start = ",".join(map(str, parts.values()))
    with pytest.raises(UserError, match="vae has a part that the runs before it have, too"):
        gpc.train(config(f"train.start={start},{parts['vae']}"), tmp_path / "twice")
    rate = "train.learning_rate=1e-30"  # nothing moves
    gpc.train(config(f"train.start={start}", rate, *SHORT), tmp_path / "all")
    model = load(tmp_path / "all")
    assert check_trained(model) is None
    images = images_of(model, 3)
    vae, decoder = (load(workdir) for workdir in parts.values())
    np.testing.assert_allclose(model.encode_latents(images), vae.encode_latents(images), rtol=1e-5)
    np.testing.assert_allclose(
        model._decoder_alone(images), decoder.log_prob_parts(images)[:, 0], rtol=1e-5
    )
    # The stream, which was in neither run, is set by the first images, as they are seen now.
    f, *_ = model.infer(images, model.posterior_noise(images))
    assert 0.3 < np.std(model.maps(f)) < 3


@pytest.mark.slow
def test_the_control_starts_from_all_of_a_run(run, tmp_path):
    changes = [f"train.start={run}", "train.learning_rate=1e-30", *SHORT]
    gpc.train(config(*changes, preset="agave_no_auxiliary"), tmp_path / "control")
    control, model = load(tmp_path / "control"), load(run)
    assert control.auxiliary_weight == 0 and control.kl_weight == 1
    images = images_of(model, 3)
    np.testing.assert_allclose(control.log_prob(images), model.log_prob(images), rtol=1e-5)


@pytest.mark.slow
def test_a_run_that_goes_on_needs_not_what_it_started_from(run, tmp_path):
    for start, steps in ((run, 1), ("nowhere", 2)):
        changes = [f"train.start={start}", f"train.steps={steps}", "train.eval_every=0"]
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
        gpc.train(config(f"train.start={run}", *changes), tmp_path / "a")


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
        f"train.start={run}",
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
    call(sample, monkeypatch, *arguments, f"--like={tmp_path}/photo.png", "--nojit")
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
        (["--map"], "--map and --reduce_log_scale need --workdir of a model that draws from"),
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
        exported.log_prob_parts(images), model.log_prob_parts(images), rtol=1e-5
    )
    np.testing.assert_array_equal(exported.sample(3, seed=4), model.sample(3, seed=4, jit=False))
