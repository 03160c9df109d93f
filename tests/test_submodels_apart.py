"""Parts of an auxiliary model that are trained apart and put together."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from auxiliary_runs import GRAY, PYRAMID, train
from runs import metrics
from scripts import call, prompts
from test_auxiliary import KINDS, build, images_of

import gated_pixelcnn as gpc
from gated_pixelcnn import cli, data
from gated_pixelcnn.cli import evaluate, sample
from gated_pixelcnn.errors import UserError


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """The work directories of runs of the prior and of the conditional alone."""
    runs = {part: tmp_path_factory.mktemp("apart") / part for part in ("prior", "conditional")}
    for part, workdir in runs.items():
        train(workdir, *GRAY, f"model.train_only={part}", "train.clip_norm=0.0")
    return runs


def test_submodels_trained_apart_are_the_model_trained_as_a_whole(
    apart, tmp_path, monkeypatch, capsys
):
    whole = gpc.load(train(tmp_path / "whole", *GRAY, "train.clip_norm=0.0"), "latest")
    model = gpc.load(apart["conditional"], "latest", prior=apart["prior"])
    images = images_of(model, 4)
    terms, wanted = model.log_prob_terms(images), whole.log_prob_terms(images)
    np.testing.assert_allclose(terms, wanted, rtol=1e-4)
    alone = gpc.load(apart["conditional"], "latest")
    assert not np.allclose(alone.log_prob_terms(images)[:, 0], wanted[:, 0], rtol=1e-3)
    runs = [f"--workdir={apart['conditional']}", f"--prior={apart['prior']}"]
    call(evaluate, monkeypatch, *runs, "--num_images=4", "--json")
    evaluated = json.loads(capsys.readouterr().out)
    best = gpc.load(apart["conditional"], prior=apart["prior"])
    shown = data.load(data.DataConfig(**gpc.get_config(*GRAY).data)).test
    shown = np.concatenate([batch[0] for batch in shown.eval_batches(4).take(1)])
    found = evaluated["bits_per_dim"]
    assert found == pytest.approx(gpc.evaluate(best, shown)["bits_per_dim"], abs=1e-4)


def test_a_model_starts_from_the_submodels_of_two_others_also_inside_of_its_prior():
    arguments = {**KINDS["three-scales"], "image_shape": (4, 4, 1), "levels": 4}
    nested = {**arguments["prior"], "train_only": "conditional"}
    sources = {
        "conditional": build(**arguments, train_only="conditional"),
        "prior.conditional": build(**arguments | {"prior": nested}, train_only="prior"),
        "prior.prior": build(
            **arguments | {"prior": nested | {"train_only": "prior"}}, train_only="prior"
        ),
    }
    for number, source in enumerate(sources.values()):
        for weight in source.weights:
            weight.assign(np.full(weight.shape, number, np.float32))
    model = build(**arguments)
    for source in sources.values():
        model.take_weights(source)
    for number, path in enumerate(sources):
        part = model
        for name in path.split("."):
            part = getattr(part, name)
        assert all((np.asarray(weight) == number).all() for weight in part.weights)


@pytest.mark.parametrize("part", ["prior", "conditional"])
def test_a_part_is_trained_and_reported_alone(part, apart):
    model = gpc.load(apart[part], "latest")
    term = dict(prior="gray image", conditional="image given it")[part]
    held_out = data.load(data.DataConfig(**gpc.get_config(*GRAY).data)).validation
    held_out = np.concatenate([batch[0] for batch in held_out.eval_batches(10).take(1)])
    reports = [line for line in metrics(apart[part]) if "validation_bits_per_dim" in line]
    found = gpc.evaluate(model, held_out)["terms"][term]
    assert reports[-1]["validation_bits_per_dim"] == pytest.approx(found, rel=1e-5)


@pytest.mark.slow
def test_stages_trained_apart_are_put_together(tmp_path):
    runs = {
        "large": ["model.train_only=conditional"],
        "middle": ["model.train_only=prior", "model.prior.train_only=conditional"],
        "small": ["model.train_only=prior", "model.prior.train_only=prior"],
    }
    for name, changes in runs.items():
        train(tmp_path / name, *PYRAMID, *changes)
    one = {name: gpc.load(tmp_path / name) for name in runs}
    priors = [tmp_path / "middle", tmp_path / "small"]
    model = gpc.load(tmp_path / "large", prior=priors)
    assert not model.untrained
    for part, trained in (
        (model.conditional, one["large"].conditional),
        (model.prior.conditional, one["middle"].prior.conditional),
        (model.prior.prior, one["small"].prior.prior),
    ):
        for found, wanted in zip(part.get_weights(), trained.get_weights(), strict=True):
            np.testing.assert_array_equal(found, wanted)
    assert gpc.load(tmp_path / "large", prior=priors[:1]).untrained == "prior.prior"
    model.save(tmp_path / "model.keras")
    images = images_of(model, 2)
    again = gpc.load(tmp_path / "model.keras")
    assert not again.untrained
    np.testing.assert_array_equal(again.log_prob(images), model.log_prob(images))


def test_a_model_of_which_a_part_was_not_trained_is_not_used(apart, gray, tmp_path, photo):
    prior, colours = apart["prior"], apart["conditional"]
    for path, of, message in (
        (prior, colours, "its conditional was not trained"),
        (colours, colours, "the prior was not trained"),
        (prior, gray, "its conditional was not trained"),
    ):
        with pytest.raises(UserError, match=message):
            gpc.load(path, prior=of)
    for path, message in (
        (colours, "the prior of this model was not trained .* by --prior"),
        (prior, "the conditional of this model was not trained .* by --workdir the one"),
    ):
        with pytest.raises(UserError, match=message):
            gpc.export(path, tmp_path / "export")
        with pytest.raises(UserError, match=message):
            cli.load_model(SimpleNamespace(workdir=path, saved_model=None, prior=[]))
    with pytest.raises(UserError, match="the conditional of this model was not trained"):
        prompts(gpc.load(prior), colourise=photo(8, 8, 1))
    # What is drawn from a given view needs no prior.
    assert prompts(gpc.load(colours), colourise=photo(8, 8, 1)).num == 4


def test_a_part_of_the_prior_is_trained_alone_only_with_the_prior():
    prior = {**KINDS["three-scales"]["prior"], "train_only": "prior"}
    shape = {"image_shape": (8, 8, 1)}
    assert build(**shape, prior=prior, train_only="prior").untrained == "conditional"
    for whole in ("", "conditional"):
        with pytest.raises(ValueError, match="prior.train_only='prior' needs train_only='prior'"):
            build(**shape, prior=prior, train_only=whole)


def test_a_prior_that_does_not_fit_is_refused(gray, pyramid, tmp_path, monkeypatch):
    short = ("train.steps=1", "train.eval_every=0")
    train(tmp_path / "other", *GRAY, "model.prior.features=5", *short)
    for path, prior, message in (
        (gray, pyramid, "the priors differ in family"),
        (gray, tmp_path / "other", "the priors differ in features"),
        (gray, [gray, gray], "has no prior of a prior"),
        (gray, tmp_path / "nothing", "is not the work directory of a run"),
    ):
        with pytest.raises(UserError, match=message):
            gpc.load(path, prior=prior)
    with pytest.raises(UserError, match="--prior needs --workdir"):
        call(sample, monkeypatch, "--saved_model=a", "--prior=b")
