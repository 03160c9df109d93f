"""A run of a VQ-VAE with two maps of codes, one of their prior, and what the scripts do with it."""

import json

import numpy as np
import pytest
from scripts import call, read_npz

import gated_pixelcnn as gpc
from gated_pixelcnn.cli import evaluate, export, sample
from gated_pixelcnn.errors import UserError

DIGITS = [
    "data.source=embedded:digits8",
    "data.levels=16",
    "train.batch_size=16",
    "train.steps=3",
    "train.eval_images=20",
    "train.samples=0",
    "train.warmup_steps=0",
]
TOKENIZER = [
    *("model.features=6", "model.blocks=1", "model.block_features=4", "model.code_features=3"),
    *("model.codes=9", "model.restart_below=0.3"),
]
PARTS = [
    f"model.prior.{part}.{change}"
    for part in ("prior", "conditional")
    for change in ("features=4", "layers=2", "embedding_size=3")
]
PRIOR = [*PARTS, "model.prior.embedding_features=4", "model.prior.embedding_blocks=1"]


@pytest.fixture(scope="module")
def vqvae(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("vqvae2")
    gpc.train(gpc.get_config("vqvae2", [*DIGITS, *TOKENIZER]), workdir)
    return workdir


@pytest.fixture(scope="module")
def run(vqvae, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("prior2")
    own = [*DIGITS, *PRIOR, f"train.tokenizer={vqvae}"]
    gpc.train(gpc.get_config("vq_prior2", own), workdir)
    return workdir


def test_both_maps_of_all_images_are_kept_and_the_tokenizer_stays(run, vqvae):
    model, tokenizer = gpc.load(run), gpc.load(vqvae)
    assert model.fingerprint() == tokenizer.fingerprint()
    data = gpc.data.load(gpc.data.DataConfig(source="embedded:digits8", levels=16))
    images = next(iter(data.train.eval_batches(50)))[0]
    kept = read_npz(run / "codes.npz")["codes"]
    assert kept.shape == (data.train.num_images, 2, 2, 5) and kept.dtype == np.uint8
    np.testing.assert_array_equal(kept[:50], tokenizer.encode(images))


def test_evaluate_tells_bits_of_a_code_and_the_use_of_both_codebooks(run, monkeypatch, capsys):
    call(evaluate, monkeypatch, f"--workdir={run}", "--num_images=30", "--probe", "--json")
    result = json.loads(capsys.readouterr().out)
    details = result["details"]
    assert details["bits_per_code"] == pytest.approx(result["terms"]["codes"] * 64 / 20)
    assert 0 < details["codes_used"] <= 1 <= details["perplexity"] <= 9
    assert result["probe"]["code_size"] == 20 * 3


def test_samples_and_completions_of_a_run_and_of_its_export(run, tmp_path, monkeypatch):
    where = [f"--output={tmp_path}/a.png", f"--npz={tmp_path}/a.npz", "--num=4"]
    call(sample, monkeypatch, f"--workdir={run}", *where, "--label=3", "--nojit")
    drawn = read_npz(tmp_path / "a.npz")
    stages = gpc.load(run).sample_stages(condition=drawn["labels"], jit=False)
    np.testing.assert_array_equal(drawn["images"], stages[-1])
    np.savez(tmp_path / "given.npz", images=drawn["images"], levels=16)
    given = [f"--given={tmp_path}/given.npz", "--keep_rows=4", "--label=3", "--nojit"]
    call(sample, monkeypatch, f"--workdir={run}", *where, *given)
    found = read_npz(tmp_path / "a.npz")["images"]
    np.testing.assert_array_equal(found[:, :4], drawn["images"][:, :4])
    call(export, monkeypatch, f"--workdir={run}", f"--output={tmp_path / 'export'}")
    served = gpc.load_saved_model(tmp_path / "export")
    again = served.sample(condition=drawn["labels"], seed=0)
    np.testing.assert_array_equal(again, drawn["images"])


def test_a_prior_of_one_map_is_told_which_preset_has_one_of_both(vqvae, tmp_path):
    with pytest.raises(UserError, match=r"of two maps of codes, as vq_prior2 has it.*: features"):
        gpc.train(gpc.get_config("vq_prior", [*DIGITS, f"train.tokenizer={vqvae}"]), tmp_path)
