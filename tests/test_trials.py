"""What the benchmarks that train share: named trials, made once, at their best rate."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from absl import flags

from gated_pixelcnn.errors import UserError

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import trials

MODEL = {"family": "pixelcnn", "features": 4, "layers": 1, "first_kernel_size": 3}


@pytest.fixture
def folder(tmp_path):
    """A folder for trials; the flags point there."""
    flags.FLAGS.mark_as_parsed()
    saved = {name: flags.FLAGS[name].value for name in ("results", "workdir", "cores", "seeds")}
    flags.FLAGS.results, flags.FLAGS.workdir = str(tmp_path / "results"), str(tmp_path / "runs")
    flags.FLAGS.cores = ["0"]
    yield tmp_path
    for name, value in saved.items():
        flags.FLAGS[name].value = value


@pytest.fixture
def settings(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 4, (20, 4, 4)).astype(np.uint8)
    np.savez(tmp_path / "images.npz", x_train=images, x_test=images[:5])
    return {
        "model": MODEL | {"likelihood": "categorical"},
        "data": {"source": f"npz:{tmp_path / 'images.npz'}", "levels": 4, "validation": 0},
        "train": {"batch_size": 4, "steps": 2, "warmup_steps": 0},
        "seed": 0,
        "test": 3,
    }


def test_a_trial_is_made_once_and_told_without_the_folder_of_its_images(folder, settings):
    made = trials.make({"one": settings}, "table.json")
    result = made["one"]
    assert np.isclose(result["bits_per_dim"] * np.log(2) * 16, result["nats"])
    assert result["steps"] == 2
    assert [step for step, _ in result["curve"]] == [1, 2]
    assert result["settings"]["data"]["source"] == "npz:images.npz"
    assert str(folder) not in (folder / "results/table.json").read_text()
    (folder / "images.npz").unlink()  # so that nothing can be made of it again
    assert trials.make({"one": settings}, "table.json") == made


def test_a_model_without_probabilities_is_told_by_its_squared_error(folder, settings):
    model = {"family": "mse_autoencoder", "code_size": 2, "encoder_features": 4}
    result = trials.make({"one": settings | {"model": model}}, "table.json")["one"]
    assert "nats" not in result and result["curve"][-1][0] == 2
    assert trials.loss_of(result) == result["mse"] > 0


def test_a_model_in_stages_is_told_by_stage(folder, settings):
    small = {"family": "gated_pixelcnn", "features": 4, "layers": 1, "first_kernel_size": 3}
    model = {"family": "auxiliary", "prior": small, "conditional": small, "embedding_features": 2}
    result = trials.make({"one": settings | {"model": model}}, "table.json")["one"]
    assert [stage["image_shape"] for stage in result["stages"]] == [[2, 2, 1], [4, 4, 1]]
    bits = [stage["bits_per_dim"] for stage in result["stages"]]
    assert np.isclose((4 * bits[0] + 16 * bits[1]) * np.log(2), trials.loss_of(result))


def test_results_of_other_settings_are_refused(folder, settings):
    trials.write("table.json", {"one": {"settings": trials.recorded(settings)}})
    with pytest.raises(UserError, match="one of other settings"):
        trials.make({"one": settings | {"seed": 3}}, "table.json")


def test_a_trial_that_fails_is_named_with_its_log(folder, settings):
    (folder / "images.npz").unlink()
    with pytest.raises(UserError, match="one ended with 1, see .*log"):
        trials.make({"one": settings}, "table.json")
    assert "there is no file" in (trials.directory_of("one", "table.json") / "log").read_text()


def test_every_row_has_all_seeds_at_its_own_best_rate(folder, monkeypatch):
    flags.FLAGS.seeds = 3
    asked = []

    def make(wanted, file):
        asked.extend(wanted)
        return {
            name: {"nats": abs(s["train"]["learning_rate"] - s["best"]), "settings": s}
            for name, s in wanted.items()
        }

    monkeypatch.setattr(trials, "make", make)
    best = {"a": 0.2, "b": 0.4, "c": 0.8, "d": 0.05}
    rows = {row: {"train": {"steps": 7}, "best": rate} for row, rate in best.items()}
    found = trials.tuned(rows, (0.4, 0.2, 0.1), "table.json")
    for row, rate in best.items():
        of_row = [result["settings"] for result in found[row].values()]
        assert [s["seed"] for s in of_row] == [0, 1, 2]
        assert {json.dumps(s["train"]) for s in of_row} == {
            json.dumps({"steps": 7, "learning_rate": rate})
        }
    beyond = {"b, rate 0.8", "c, rate 0.8", "c, rate 1.6", "d, rate 0.05", "d, rate 0.025"}
    assert beyond == {name.removesuffix(", seed 0") for name in asked[12:17]}
    assert len(asked) == len(set(asked)) == 4 * 3 + 5 + 4 * 2


def test_one_rate_alone_is_taken(folder, monkeypatch):
    made = {"row, rate 0.1, seed 0": {"nats": 1}, "row, rate 0.1, seed 1": {"nats": 1}}
    monkeypatch.setattr(trials, "make", lambda wanted, file: {name: made[name] for name in wanted})
    assert trials.tuned({"row": {"train": {}}}, (0.1,), "table.json") == {"row": made}
