"""Runs of a prior of codes: what it needs of its tokenizer, and what the scripts do with a run."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from runs import assert_same_run, final_arrays, metrics
from scripts import call, read_npz

import gated_pixelcnn as gpc
from gated_pixelcnn.cli import evaluate, export, sample
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation.code_usage import CodeUsage
from gated_pixelcnn.models.families.vq_prior import VQPrior
from gated_pixelcnn.training import tokens

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from cluster import Cluster  # noqa: E402

DIGITS = [
    "data.source=embedded:digits8",
    "data.levels=16",
    "train.batch_size=16",
    "train.log_every=2",
    "train.eval_every=2",
    "train.eval_images=20",
    "train.samples=4",
]
TOKENIZER = [
    *("model.features=6", "model.blocks=1", "model.block_features=4", "model.code_features=3"),
    *("model.codes=9", "model.restart_below=0.3", "train.steps=20", "train.sample_every=0"),
]
PRIOR = [
    *("model.prior.features=4", "model.prior.layers=2", "model.prior.embedding_size=3"),
    *("train.warmup_steps=2", "train.steps=4", "train.sample_every=4", "train.save_every=2"),
]


def config(tokenizer, *changes):
    own = [*DIGITS, *PRIOR, f"train.tokenizer={tokenizer}"]
    return gpc.get_config("vq_prior", [*own, *changes])


@pytest.fixture(scope="module")
def vqvae(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("vqvae")
    gpc.train(gpc.get_config("vqvae", [*DIGITS, *TOKENIZER]), workdir)
    return workdir


@pytest.fixture(scope="module")
def run(vqvae, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("prior")
    gpc.train(config(vqvae), workdir)
    return workdir


@pytest.fixture
def encoded(monkeypatch):
    """A list to which every batch of images of which a prior's codes are computed adds one."""
    found, encode = [], VQPrior.encode

    def counted(self, images):
        found.append(len(images))
        return encode(self, images)

    monkeypatch.setattr(VQPrior, "encode", counted)
    return found


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "photos.npz"
    images = np.random.default_rng(0).integers(0, 16, (3, 8, 8, 1)).astype(np.uint8)
    np.savez(path, images=images, levels=16)
    return path, images


# Training


def test_a_run_has_the_tokenizer_as_it_was_and_trains_the_prior(run, vqvae):
    model, tokenizer = gpc.load(run), gpc.load(vqvae)
    assert model.fingerprint() == tokenizer.fingerprint()
    record = json.loads((run / "config.json").read_text())
    assert record["data"]["tokenizer"] == tokenizer.fingerprint()
    assert record["config"]["model"]["tokenizer"]["codes"] == 9
    reports = [line for line in metrics(run) if "validation_bits_per_dim" in line]
    assert [line["step"] for line in reports] == [2, 4]
    assert all(0 < line["validation_bits_per_code"] < 6 for line in reports)
    assert any("train_bits_per_code" in line for line in metrics(run))
    assert (run / "samples" / "step-000000004.png").exists()
    assert model.trainable_weights == model.prior.trainable_weights


def test_codes_are_kept_with_the_labels_of_their_images(run, vqvae):
    data = gpc.data.load(gpc.data.DataConfig(source="embedded:digits8", levels=16))
    images, labels = next(iter(data.train.eval_batches(50)))
    kept = read_npz(run / "codes.npz")
    assert kept["codes"].dtype == np.uint8 and len(kept["codes"]) == data.train.num_images
    np.testing.assert_array_equal(kept["codes"][:50, ..., 0], gpc.load(vqvae).encode(images))
    np.testing.assert_array_equal(kept["beside"][:50], labels)


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been_and_without_the_tokenizers_run(
    run, vqvae, tmp_path, encoded
):
    tokenizer = shutil.copytree(vqvae, tmp_path / "vqvae")
    gpc.train(config(tokenizer, "train.steps=2", "train.samples=0"), tmp_path / "run")
    shutil.rmtree(tokenizer)
    encoded.clear()
    for given in ("", tokenizer):  # the second one has nothing left to do
        gpc.train(config(given, "train.samples=0"), tmp_path / "run")
        assert max(encoded) <= 20  # of the validation
    assert_same_run(tmp_path / "run", run)


def test_codes_that_are_kept_are_used_again_only_if_they_are_of_these_images(
    run, vqvae, tmp_path, encoded
):
    shutil.copytree(run, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("check*"))
    fresh = ("train.steps=1", "train.samples=0", "train.eval_every=0")
    wanted, path = read_npz(tmp_path / "codes.npz"), tmp_path / "codes.npz"

    def computed(*changes):
        shutil.rmtree(tmp_path / "checkpoints", ignore_errors=True)
        encoded.clear()
        gpc.train(config(vqvae, *fresh, *changes), tmp_path)
        return sum(size for size in encoded if size > 20) > 0

    assert not computed()
    path.write_bytes(path.read_bytes()[:-100])
    assert computed()
    np.testing.assert_array_equal(read_npz(path)["codes"], wanted["codes"])
    assert not computed()
    assert computed("data.labels=false", "model.condition=none")
    assert "beside" not in read_npz(path)
    assert computed()
    np.testing.assert_array_equal(read_npz(path)["beside"], wanted["beside"])


def test_a_tokenizer_that_changed_is_refused(run, vqvae, tmp_path):
    workdir = shutil.copytree(run, tmp_path / "run")
    other = shutil.copytree(vqvae, tmp_path / "vqvae")
    gpc.train(gpc.get_config("vqvae", [*DIGITS, *TOKENIZER, "train.steps=22"]), other)
    before = final_arrays(workdir)
    with pytest.raises(UserError, match="the tokenizer .* changed since the codes of this run"):
        gpc.train(config(other, "train.steps=6"), workdir)
    for name, array in final_arrays(workdir).items():
        np.testing.assert_array_equal(array, before[name])


def test_a_run_starts_from_the_prior_of_another(run, vqvae, tmp_path):
    fresh = ["train.steps=1", "train.samples=0", "train.eval_every=0", "train.learning_rate=1e-9"]
    gpc.train(config(vqvae, f"train.init_from={run}", *fresh, "train.warmup_steps=0"), tmp_path)
    found, wanted = gpc.load(tmp_path), gpc.load(run)
    for weight, other in zip(found.weights, wanted.weights, strict=True):
        np.testing.assert_allclose(weight, other, atol=1e-6, err_msg=weight.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.tokenizer=", "give the run of a VQ-VAE by train.tokenizer"),
        ("train.tokenizer={digits}", "is of no tokenizer: train a VQ-VAE"),
        ("train.tokenizer={run}", "is of no tokenizer: train a VQ-VAE"),
        ("train.tokenizer={tmp}/missing", "missing is not the work directory of a run"),
        ("data.flips=true", "data.flips varies the images in every epoch"),
        ("data.patch=4", "data.patch varies the images in every epoch"),
        (
            "data.levels=8",
            "train.tokenizer: its images are 8x8x1 with 16 levels, not",
        ),
        ("data.image_size=4", "cannot be the train.tokenizer: its images are 8x8"),
        ("model.prior.likelihood=logistic", "prior: values='categorical' needs likelihood="),
    ],
)
def test_what_a_prior_cannot_be_trained_with_is_refused(
    run, vqvae, digits, tmp_path, change, message
):
    change = change.format(digits=digits, run=run, tmp=tmp_path)
    with pytest.raises(UserError, match=message):
        gpc.train(config(vqvae, change), tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()


def test_other_families_take_no_tokenizer(vqvae, tmp_path):
    with pytest.raises(UserError, match="train.tokenizer is for a prior of codes"):
        gpc.train(gpc.get_config("digits", [f"train.tokenizer={vqvae}"]), tmp_path)


# Scripts


def test_evaluate_tells_bits_of_a_code_beside_its_frequency(run, monkeypatch, capsys):
    arguments = [f"--workdir={run}", "--num_images=30", "--batch_size=20"]
    call(evaluate, monkeypatch, *arguments, "--json")
    result = json.loads(capsys.readouterr().out)
    assert result["is_lower_bound"]
    assert sum(result["terms"].values()) == pytest.approx(result["bits_per_dim"])
    details = result["details"]
    baselines = {"unigram_bits_per_code", "histogram_bits_per_code"}
    assert details.keys() == {"bits_per_code", *baselines, *CodeUsage.scalars}
    assert details["bits_per_code"] == pytest.approx(result["terms"]["codes"] * 64 / 4)
    model, kept = gpc.load(run), read_npz(run / "codes.npz")["codes"]
    data = gpc.data.load(gpc.data.DataConfig(source="embedded:digits8", levels=16))
    assert len(kept) == data.train.num_images
    codes = model.encode(next(iter(data.test.eval_batches(30)))[0]).numpy()
    counts = np.bincount(kept.ravel(), minlength=9) + 0.5
    wanted = -np.log2(counts / counts.sum())[codes].mean()
    assert details["unigram_bits_per_code"] == pytest.approx(wanted)
    call(evaluate, monkeypatch, *arguments)
    table = capsys.readouterr().out
    for name in ("image given codes", "at most", "bits/code by prior", "by frequencies"):
        assert name in table
    call(evaluate, monkeypatch, *arguments, "--json", "--nobaselines")
    assert not baselines & json.loads(capsys.readouterr().out)["details"].keys()


def test_samples_of_all_classes(run, tmp_path, monkeypatch):
    where = [f"--workdir={run}", f"--output={tmp_path}/a.png", f"--npz={tmp_path}/a.npz"]
    call(sample, monkeypatch, *where, "--label=all", "--num=20", "--nojit", "--top_k=5")
    found = read_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(found["labels"], np.arange(20) % 10)
    model = gpc.load(run)
    stages = model.sample_stages(condition=found["labels"], top_k=5, jit=False)
    np.testing.assert_array_equal(found["images"], stages[-1])
    np.testing.assert_array_equal(found["stage_1"], stages[0])


def test_inpainting_keeps_pixels_and_codes(run, photos, tmp_path, monkeypatch):
    path, images = photos
    where = [f"--workdir={run}", f"--output={tmp_path}/a.png", f"--npz={tmp_path}/a.npz"]
    call(sample, monkeypatch, *where, "--label=3", f"--given={path}", "--keep_rows=4", "--nojit")
    found = read_npz(tmp_path / "a.npz")["images"]
    assert len(found) == 12  # four of each
    np.testing.assert_array_equal(found[:, :4], images[np.arange(12) % 3, :4])
    assert (found[:3, 4:] != images[:, 4:]).any()


def test_reconstructions_need_no_label(run, photos, tmp_path, monkeypatch):
    path, images = photos
    arguments = [f"--workdir={run}", f"--npz={tmp_path}/a.npz", f"--output={tmp_path}/a.png"]
    call(sample, monkeypatch, *arguments, f"--reconstruct={path}", "--num=6", "--nojit")
    model, arrays = gpc.load(run), read_npz(tmp_path / "a.npz")
    codes = model.encode(images).numpy()
    np.testing.assert_array_equal(arrays["decoded_9"], model.decode(codes))
    drawn = model.tokenizer.sample_stages(stage=codes[np.arange(6) % 3], jit=False)[-1]
    np.testing.assert_array_equal(arrays["image_9"], drawn)
    with pytest.raises(UserError, match="--top_k and --top_p need"):  # of pixels by logistics
        call(sample, monkeypatch, *arguments, f"--reconstruct={path}", "--top_k=3", "--nojit")


def test_one_export_has_tokenizer_prior_and_decoder(run, photos, tmp_path, monkeypatch, capsys):
    call(export, monkeypatch, f"--workdir={run}", f"--output={tmp_path / 'export'}")
    model, served = gpc.load(run), gpc.load_saved_model(tmp_path / "export")
    path, images = photos
    labels = [1, 2, 3]
    wanted = model.log_prob_terms(images, labels)
    np.testing.assert_allclose(served.log_prob_terms(images, labels), wanted, rtol=1e-5)
    drawn = model.sample(condition=labels, seed=4, jit=False)
    np.testing.assert_array_equal(served.sample(condition=labels, seed=4), drawn)
    assert "complete" in served.signatures and "value_log_prob" not in served.signatures
    where = [f"--saved_model={tmp_path / 'export'}", f"--output={tmp_path}/a.png"]
    call(sample, monkeypatch, *where, f"--given={path}", "--keep_rows=2", "--label=0")


def test_a_run_of_codes_takes_no_memory_of_images(run, monkeypatch):
    """Images are encoded in batches of one size, the last one filled up."""
    model = gpc.load(run)
    data = gpc.data.load(gpc.data.DataConfig(source="embedded:digits8", levels=16))
    sizes = []
    monkeypatch.setattr(model, "encode", lambda x: sizes.append(len(x)) or np.zeros((len(x), 2, 2)))
    found = tokens.code_split(model, data.train, "x", say=lambda text: None)
    assert set(sizes) == {256} and found.num_images == data.train.num_images


@pytest.mark.slow
def test_workers_learn_of_the_tokenizer_from_the_first(vqvae, tmp_path):
    tokenizer, wanted = tmp_path / "tokenizer", tmp_path / "one"
    shutil.copytree(vqvae, tokenizer)
    workdirs = [[f"--workdir={tmp_path / str(i)}"] for i in range(2)]

    def changes(steps):
        own = [*DIGITS, *PRIOR, "train.schedule=constant", "model.prior.dropout=0"]
        return [*own, f"train.steps={steps}", f"train.tokenizer={tokenizer}"]

    def run_workers(steps):
        arguments = ["--config=vq_prior", *(f"--config.{c}" for c in changes(steps))]
        with Cluster(tmp_path / f"logs{steps}", 2).start(arguments, workdirs) as cluster:
            assert cluster.wait() == [0, 0], [cluster.output(i) for i in range(2)]

    run_workers(2)
    gpc.train(gpc.get_config("vq_prior", changes(4)), wanted)
    shutil.rmtree(tokenizer)  # the run has it
    run_workers(4)
    assert not (tmp_path / "1").exists()
    found, wanted = final_arrays(tmp_path / "0"), final_arrays(wanted)
    assert found.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4, atol=1e-6, err_msg=name)
