"""What the benchmarks that train share: named trainings, side by side on the cores, each made once.

A trial is settings of a configuration, {"model": {"family": …}, "data": …, "train": …, "seed": …},
and under "test" how many held-out images tell its result. What is in the file of results is not
made again, and an interrupted training goes on. Of a file of images the results have the name only.
The length of a trial is a number of steps: what else the machine does in the meantime changes no
result.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import following
from absl import flags

from gated_pixelcnn.errors import UserError, run
from gated_pixelcnn.files import atomic_write

# What all trainings have in common, so that rows of a table differ in what they name only.
TRAIN = {
    "batch_size": 16,
    "warmup_steps": 100,
    "schedule": "cosine",
    "final_fraction": 0.01,
    "eval_batch_size": 100,
}

_CORES = flags.DEFINE_list("cores", ["0", "1"], "Cores on which trials run, one on each.")
_RESULTS = flags.DEFINE_string("results", "docs/results", "Folder of the tables of results.")
_WORKDIR = flags.DEFINE_string("workdir", "runs/trials", "Folder for the trainings.")
_SEEDS = flags.DEFINE_integer("seeds", 2, "Trainings of each row of a table.", lower_bound=1)


def cores():
    """The cores to run on."""
    return [int(core) for core in _CORES.value]


def seeds():
    """The seeds of a row of a table."""
    return range(_SEEDS.value)


def path_of(name):
    """A file of the folder of results."""
    folder = Path(_RESULTS.value)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def read(name):
    """The results in a file, by the names of the trials; {} if there is none."""
    path = path_of(name)
    return json.loads(path.read_text()) if path.exists() else {}


def write(name, results):
    """Writes the results, a trial a line."""
    lines = (f" {json.dumps(key)}: {json.dumps(value)}" for key, value in results.items())
    with atomic_write(path_of(name)) as file:
        file.write(("{\n" + ",\n".join(lines) + "\n}\n").encode())


def recorded(settings):
    """The settings as results have them: without the folders of images and of other trials."""
    kind, _, name = settings["data"]["source"].partition(":")
    source = f"{kind}:{Path(name).name}" if kind in ("npz", "folder") else f"{kind}:{name}"
    train = dict(settings["train"])
    if start := train.get("init_from"):
        train["init_from"] = ",".join(Path(run).parent.name for run in start.split(","))
    return settings | {"data": settings["data"] | {"source": source}, "train": train}


def of_preset(name, features):
    """The model of a preset, with other features in all of its parts."""
    from gated_pixelcnn import configs

    def resized(section):
        return {
            key: resized(value)
            if isinstance(value, dict)
            else features
            if key in ("features", "embedding_features")
            else value
            for key, value in section.items()
        }

    return resized(configs.get_config(name).model.to_dict())


def directory_of(name, file):
    """Where a trial is made: in `run` its work directory."""
    return Path(_WORKDIR.value) / Path(file).stem / name.replace(" ", "_")


def tuned(rows, rates, file):
    """Makes the rows of a table, each at its best rate.

    Args:
      rows: {name: settings without a rate and a seed}.
      rates: learning rates; the best is that of the lowest loss of the first seed, see `loss_of`.
        Where it is the highest or lowest of several, the next one is tried, too.
      file: name of the file of results.

    Returns:
      {name: {name of the trial: result}}, those of the best rate, one for each seed.
    """

    def trial(row, rate, seed):
        settings = rows[row] | {"train": rows[row]["train"] | {"learning_rate": rate}, "seed": seed}
        return f"{row}, rate {rate:g}, seed {seed}", settings

    first, *others = seeds()
    grid, found = {row: sorted(rates) for row in rows}, {}
    while True:
        wanted = dict(trial(row, rate, first) for row in rows for rate in grid[row])
        found |= make({name: s for name, s in wanted.items() if name not in found}, file)
        best = {
            row: min(grid[row], key=lambda rate: loss_of(found[trial(row, rate, first)[0]]))
            for row in rows
        }
        wider = {row: widened(grid[row], best[row]) for row in rows}
        if wider == grid:
            break
        grid = wider
    more = dict(trial(row, best[row], seed) for row in rows for seed in others)
    found |= make(more, file)
    return {
        row: {name: found[name] for name, _ in (trial(row, best[row], s) for s in seeds())}
        for row in rows
    }


def widened(rates, best):
    """The rates in order; if the best of several is at an end, with the next one beyond it."""
    if len(rates) > 1 and best in (rates[0], rates[-1]):
        neighbour = rates[1] if best == rates[0] else rates[-2]
        rates = [*rates, float(f"{best * best / neighbour:.6g}")]
    return sorted(rates)


def loss_of(result):
    """The nats of a result; the squared error, of a model that gives no probabilities."""
    return result["nats"] if "nats" in result else result["mse"]


def tell(columns, lines):
    """Prints a table in Markdown."""
    for line in (columns, ["---"] * len(columns), *lines):
        print("| " + " | ".join(map(str, line)) + " |")


def make(trials, file):
    """Makes what is missing of trials.

    Args:
      trials: {name: settings}.
      file: name of the file of results.

    Returns:
      {name: result}, see `main`.

    Raises:
      UserError: a trial failed, or the file has one of this name but of other settings.
    """
    done = read(file)
    for name, settings in trials.items():
        if name in done and done[name]["settings"] != (wanted := recorded(settings)):
            raise UserError(
                f"{path_of(file)} has {name} of other settings: {done[name]['settings']} and not "
                f"{wanted}; choose another --results"
            )
    waiting, lock, failed = queue.Queue(), threading.Lock(), []
    for name in trials:
        if name not in done:
            waiting.put(name)

    def work(core):
        while not failed:
            try:
                name = waiting.get_nowait()
            except queue.Empty:
                return
            directory = directory_of(name, file)
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "settings.json").write_text(json.dumps(trials[name]))
            with open(directory / "log", "a") as log:
                command = [sys.executable, __file__, f"--trial={directory}"]
                pinned = {"preexec_fn": lambda: os.sched_setaffinity(0, {core})}
                code = subprocess.run(command, stdout=log, stderr=log, **pinned).returncode
            if code:
                failed.append(f"{name} ended with {code}, see {directory / 'log'}")
                return
            with lock:
                done[name] = json.loads((directory / "result.json").read_text())
                write(file, done)
                print(f"{name}: {loss_of(done[name]):.5g}", flush=True)

    threads = [threading.Thread(target=work, args=(core,)) for core in cores()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise UserError("; ".join(failed))
    return {name: done[name] for name in trials}


def main(_):
    """Makes one trial: settings.json of a folder → result.json.

    The result has `settings`, `image_shape`, `parameters`, `steps`, `seconds` that it took; of the
    held-out images `nats`, `bits_per_dim` and `standard_error`, of a bound its `terms` and
    `stages`, of latent variables `details` and the share of samples `nearest` to their own f(z),
    or `mse` of a model that gives no probabilities; and `curve`: [step, bits/dim or MSE of the
    first held-out images] at eight places of the training.
    """
    import gated_pixelcnn as gpc
    from gated_pixelcnn import configs
    from gated_pixelcnn.data import DataConfig, load
    from gated_pixelcnn.data.batches import ArraySplit
    from gated_pixelcnn.evaluation.evaluators import evaluate_all, validation_of
    from gated_pixelcnn.evaluation.images import Images
    from gated_pixelcnn.evaluation.latents import Latents
    from gated_pixelcnn.evaluation.stages import Stages

    directory = Path(_TRIAL.value)
    settings = json.loads((directory / "settings.json").read_text())
    wanted = {key: value for key, value in settings.items() if key != "test"}
    config = configs.complete(wanted)
    with config.unlocked():
        config.train.eval_every = max(1, config.train.steps // 8)
        config.train.update(sample_every=0, samples=0, save_every=500)
    trained = gpc.train(config, directory / "run")
    if trained.stopped_by != "steps":
        raise UserError(f"stopped by {trained.stopped_by}; the same command goes on")
    model = gpc.load(directory / "run", checkpoint="latest")
    split = ArraySplit(*load(DataConfig(**config.data)).validation.take(settings["test"]))
    validation = validation_of(model)
    found = evaluate_all(model, Images(split, 100), [validation, Latents(), Stages()])
    if Latents().applies_to(model) and not model.untrained:
        found["nearest"] = following.share_nearest(following.followed(model, 64, jit=False)[-1])
    lines = map(json.loads, (directory / "run/metrics.jsonl").read_text().splitlines())
    key = f"validation_{validation.name}"
    of_images = {"nats", "bits_per_dim", "mse", "standard_error", "terms", "stages", "details"}
    of_images.add("nearest")
    result = {
        "settings": recorded(settings),
        "image_shape": model.image_shape,
        "parameters": model.count_params(),
        "steps": trained.step,
        "seconds": round(trained.seconds),
        **{name: value for name, value in found.items() if name in of_images},
        "curve": [[line["step"], line[key]] for line in lines if key in line],
    }
    (directory / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    _TRIAL = flags.DEFINE_string("trial", None, "Folder of the trial.", required=True)
    run(main)
