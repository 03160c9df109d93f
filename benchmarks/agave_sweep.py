"""AGAVE (Lucas and Verbeek, 2018), its figures 3 to 9 at the size of a CPU.

    python benchmarks/agave_sweep.py --image_size=16 --pictures=docs/results

Rows: the weight λ of the KL divergence, the levels of the auxiliary image y, and what y is (the
image, its half or quarter, or gray). As in the paper the decoder and the autoencoder are first
trained apart, then together; all λ start from the same two. Beside them the decoder and the
variational autoencoder alone, with the same batches, optimizer and sum of steps. Of every row: the
bound and its terms; the bound of y by its autoencoder, in bits/dim of y; and how far samples follow
the f(z) that they were drawn from: nearest to their own among 64. What is in docs/results is not
made again, and an interrupted training goes on. Pictures need the runs.
"""

from pathlib import Path

import numpy as np
import trials
from absl import flags

from gated_pixelcnn.errors import UserError, run

FILE = "agave_sweep.json"
DECODER, AUTOENCODER = "decoder alone", "autoencoder alone"
LAMBDAS = (1.0, 2.0, 4.0, 8.0, 12.0)
LEVELS = (32, 64)  # of y; with all of them it is the row of its λ
VIEWS = ("half", "quarter")  # of images without colours; of colours gray, too
FREE_BITS = 0.1  # of these: a small y gains less by z than z costs, so z would hold nothing
SHOWN = 8  # images of a row of a picture

_PRESET = flags.DEFINE_string("preset", "agave", "Preset of the model that is changed.")
_SIZE = flags.DEFINE_integer("image_size", 0, "Side of the images; 0: as they are.", lower_bound=0)
_APART = flags.DEFINE_integer("apart", 1500, "Steps of each submodel apart.", lower_bound=1)
_TOGETHER = flags.DEFINE_integer("together", 500, "Steps of both together.", lower_bound=1)
_TEST = flags.DEFINE_integer("test", 1000, "Held-out images.", lower_bound=SHOWN)
_LAMBDAS = flags.DEFINE_list("lambdas", [f"{x:g}" for x in LAMBDAS], "Values of λ.")
_OTHERS = flags.DEFINE_bool("others", True, "Whether y is changed, too.")
_PICTURES = flags.DEFINE_string("pictures", "", "Folder for the pictures.")


def alone(config):
    """{row: model} of the decoder and of the autoencoder by themselves."""
    model = config.model.to_dict()
    own = ("features", "blocks", "latents", "halvings", "posterior", "free_bits")
    vae = {"family": "vae"} | {key: model[key] for key in own}
    return {DECODER: model["decoder"], AUTOENCODER: vae}


def together(config):
    """{row: model} of both together; (λ is not in the font of the pictures)."""
    model = config.model.to_dict()
    views = [*VIEWS, *(["grayscale"] if "tiles32" in config.data.source else [])]
    found = {f"lambda {x}": model | {"kl_weight": float(x)} for x in _LAMBDAS.value}
    if _OTHERS.value:
        found |= {f"y of {x} levels": model | {"auxiliary_levels": x} for x in LEVELS}
        found |= {f"y is {x}": model | {"auxiliary": x, "free_bits": FREE_BITS} for x in views}
    return found


def apart(model):
    """{row: model} of the submodels that a model starts from; y of fewer levels changes none."""
    model = model | {"auxiliary_levels": 0, "kl_weight": 1.0}
    decoder = model | {"auxiliary": "image", "free_bits": 0.0, "train_only": "decoder"}
    vae = model | {"train_only": "vae"}
    return {"decoder first": decoder, f"autoencoder of {model['auxiliary']} first": vae}


def settings_of(config, model, steps, start=()):
    """A trial, see `trials`, that starts from those of some rows."""
    kept = ("batch_size", "optimizer", "learning_rate", "eval_batch_size")
    train = {key: config.train[key] for key in kept} | {"steps": steps, "eval_images": 200}
    if start:
        runs = (trials.directory_of(row, FILE) / "run" for row in start)
        train["init_from"] = ",".join(map(str, runs))
    data = {key: config.data[key] for key in ("source", "flips")} | {"image_size": _SIZE.value}
    return {"model": model, "data": data, "train": train, "seed": 0, "test": _TEST.value}


def make(config):
    """{row: result} of the table."""
    steps, rows = (_APART.value, _TOGETHER.value), together(config)
    first = {row: model for rest in rows.values() for row, model in apart(rest).items()}
    trials.make({row: settings_of(config, model, steps[0]) for row, model in first.items()}, FILE)
    wanted = {row: settings_of(config, model, sum(steps)) for row, model in alone(config).items()}
    wanted |= {row: settings_of(config, rows[row], steps[1], apart(rows[row])) for row in rows}
    return trials.make(wanted, FILE)


def numbers(row, result):
    """A line of the table."""
    from gated_pixelcnn.models.transforms import VIEWS as TRANSFORMS

    line = [row, f"{result['parameters']:,}", f"{result['bits_per_dim']:.4f}"]
    if not result["terms"]:
        return line + [""] * 4
    line += [f"{value:.4f}" for value in result["terms"].values()]
    own = result["bits_per_dim"]
    if "auxiliary_bits_per_dim" in result["details"]:
        shape = result["image_shape"]
        view = TRANSFORMS[result["settings"]["model"]["auxiliary"]](shape, 256).image_shape
        divergence = result["terms"]["KL divergence"] * np.prod(shape) / np.prod(view)
        own = result["details"]["auxiliary_bits_per_dim"] + divergence
    return [*line, f"{own:.3f}", f"{result['nearest']:.0%}"]


def pictures(folder, config, rows):
    """Samples of each row, and reconstructions by each λ: PNG files in a folder."""
    import gated_pixelcnn as gpc
    from gated_pixelcnn import visualization
    from gated_pixelcnn.data import DataConfig, load

    held_out = load(DataConfig(**settings_of(config, {}, 0)["data"])).validation.take(SHOWN)[0]
    samples, others, reconstructions = {}, {}, {}
    for row in rows:
        model = gpc.load(trials.directory_of(row, FILE) / "run", checkpoint="latest")

        def pairs(*stages, model=model):  # the images and f(z) side by side
            *f, images = (np.asarray(stage) for stage in stages)
            shown = [visualization.enlarged(x, model.view.levels, model.image_shape) for x in f]
            shown.append(visualization.to_bytes(images, model.levels))
            return np.stack(shown, axis=1).reshape(-1, *model.image_shape)

        if row == DECODER:
            samples[row] = pairs(model.sample(2 * SHOWN, seed=0, jit=False))
            continue
        into = others if row.startswith("y ") else samples
        into[row] = pairs(*model.sample_stages(SHOWN, seed=0, jit=False))
        if row.startswith("lambda"):
            z = model.encode_latents(held_out)
            f, drawn = pairs(*model.sample_stages(stage=z, seed=0, jit=False)), {}
            drawn[row], of_images = f, visualization.to_bytes(held_out, model.levels)
            reconstructions.setdefault("images", np.repeat(of_images, 2, axis=0))
            reconstructions |= drawn
    made = {"samples": samples, "auxiliary": others, "reconstructions": reconstructions}
    for what, cells in made.items():
        if cells:
            images = np.concatenate(list(cells.values()))
            picture = visualization.grid(images, 256, columns=2 * SHOWN, magnify=3)
            picture = visualization.captioned(picture, list(cells))
            visualization.save_png(Path(folder) / f"agave_sweep_{what}.png", picture)


def main(arguments):
    """Makes the table, and the pictures if they are wanted."""
    if len(arguments) > 1:
        raise UserError(f"unknown argument {arguments[1]!r}")
    from gated_pixelcnn import configs

    config = configs.get_config(_PRESET.value)
    results = make(config)
    titles = ("", "parameters", "bits/dim", "image given z", "KL", "its own of y", "nearest")
    trials.tell(titles, [numbers(row, result) for row, result in results.items()])
    if _PICTURES.value:
        pictures(_PICTURES.value, config, results)


if __name__ == "__main__":
    run(main)
