"""Runs of an auxiliary model: trained, resumed, evaluated, drawn from, exported."""

import numpy as np
import pytest
from runs import final_arrays
from scripts import call
from test_auxiliary import KINDS, build, images_of

import gated_pixelcnn as gpc
from gated_pixelcnn.cli import evaluate, sample
from gated_pixelcnn.data.batches import ArraySplit
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation.images import Images
from gated_pixelcnn.evaluation.stages import Stages
from gated_pixelcnn.models.families.auxiliary import AuxiliaryModel

OVERRIDES = [
    "data.source=embedded:digits8",
    "data.levels=16",
    *(f"model.{part}.features=4" for part in ("prior", "conditional")),
    *(f"model.{part}.layers=2" for part in ("prior", "conditional")),
    "model.embedding_features=3",
    "train.batch_size=16",
    "train.steps=4",
    "train.log_every=2",
    "train.eval_every=2",
    "train.eval_images=20",
    "train.save_every=2",
    "train.sample_every=4",
    "train.samples=10",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    gpc.train(gpc.get_config("multiscale28", OVERRIDES), workdir)
    return workdir


def test_a_run_is_trained_loaded_and_evaluated_by_its_terms(run):
    model = gpc.load(run)
    assert isinstance(model, AuxiliaryModel)
    images, labels = images_of(model, 20), np.arange(20) % 10
    result = gpc.evaluate(model, images, labels)
    terms = model.log_prob_terms(images, labels).numpy().mean(axis=0)
    shares = -terms / (np.log(2) * np.prod(model.image_shape))
    assert list(result["terms"]) == ["small image", "image given it"]
    assert list(result["terms"].values()) == pytest.approx(shares)
    assert result["bits_per_dim"] == pytest.approx(shares.sum())
    assert result["is_lower_bound"] and result["bits_per_channel"] is None
    assert (run / "samples" / "step-000000004.png").exists()


def test_a_run_that_is_stopped_goes_on_as_if_it_had_not_been(run, tmp_path):
    for steps in (2, 4):
        gpc.train(gpc.get_config("multiscale28", [*OVERRIDES, f"train.steps={steps}"]), tmp_path)
    found, wanted = final_arrays(tmp_path), final_arrays(run)
    assert found.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)


@pytest.mark.parametrize("kind", ["three-scales", "gray"])
def test_stages_are_told_in_their_own_dimensions(kind):
    model = build(**KINDS[kind])
    images, labels = images_of(model, 5), np.arange(5) % 3
    found = Stages().evaluate(model, Images(ArraySplit(images, labels), 2))["stages"]
    assert [tuple(stage["image_shape"]) for stage in found] == [s.shape for s in model.stages]
    assert [stage["levels"] for stage in found] == [spec.levels for spec in model.stages]
    nats = [stage["bits_per_dim"] * np.prod(stage["image_shape"]) for stage in found]
    terms = -model.log_prob_terms(images, labels).numpy().mean(axis=0) / np.log(2)
    assert nats[-1] == pytest.approx(terms[1], rel=1e-5)
    assert sum(nats[:-1]) == pytest.approx(terms[0], rel=1e-5)


def test_the_scripts_tell_the_terms_and_draw_every_class(run, tmp_path, monkeypatch, capsys):
    call(evaluate, monkeypatch, f"--workdir={run}", "--num_images=20")
    lines = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("  model"))
    model, small, rest, wrong = (line.split() for line in lines[start : start + 4])
    assert model[1:3] == wrong[-3:-1] == ["at", "most"]
    assert small[:2] == ["small", "image"] and rest[:3] == ["image", "given", "it"]
    own = [
        line.split() for line in lines[1 + lines.index("  stages, each in its own dimensions") :]
    ]
    assert [row[0] for row in own[:2]] == ["4x4x1,", "8x8x1,"]
    assert float(own[0][3]) == pytest.approx(4 * float(small[2]), abs=4e-4)
    assert float(own[1][3]) == pytest.approx(float(rest[3]), abs=2e-4)
    assert float(model[3]) == pytest.approx(float(small[2]) + float(rest[3]), abs=2e-4)
    workdir, output = f"--workdir={run}", f"--output={tmp_path}/a.png"
    call(sample, monkeypatch, workdir, "--label=all", output, "--nojit")
    assert (tmp_path / "a.png").exists()
    with pytest.raises(UserError, match="--given is not possible: this model draws an image in"):
        call(sample, monkeypatch, workdir, "--label=1", f"--given={output[9:]}", "--keep_rows=2")


def test_an_exported_model_is_the_same_model(run, tmp_path):
    model = gpc.load(run)
    served = gpc.load_saved_model(gpc.export(run, tmp_path))
    images, labels = images_of(model, 3), np.arange(3)
    np.testing.assert_allclose(
        served.log_prob_terms(images, labels), model.log_prob_terms(images, labels), rtol=1e-5
    )
    np.testing.assert_array_equal(
        served.sample(condition=labels, seed=4),
        model.sample(condition=labels, seed=4, jit=False),
    )
    assert served.is_lower_bound and served.terms == list(model.terms)
    assert not {"complete", "value_log_prob"} & set(served.signatures)
    for refused in (
        lambda: served.value_log_prob(images, labels),
        lambda: served.sample(condition=labels, given=images, known=np.array(True)),
    ):
        with pytest.raises(ValueError, match="lower bound|cannot complete"):
            refused()
