"""Runs what lower.py has written, on a machine with JAX and NumPy.

    python benchmarks/lowered.py --directory=lowered --out=results
    python benchmarks/lowered.py --directory=lowered --out=results --run=long --seconds=300

Without --run: seconds of a call of every program that is timed. With it: the training of a run goes
on for so many seconds, or until its loss is not finite. OUT/RUN.npz is its checkpoint and
OUT/RUN_best.npz that of the best moving average, by the first held-out images. As DIRECTORY/RUN.npz
it goes on here, as checkpoints/step-000012345.npz of the run (the step is told) with train.py.
"""

import argparse
import gzip
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
from jaxlib import _jax

jax.config.update("jax_enable_x64", True)
threading.stack_size(1 << 29)  # compilation recurses


class Program:
    """A compiled program and the names of its variables."""

    def __init__(self, directory, name):
        """Compiles it for the first device."""
        start = time.perf_counter()
        self.about = json.loads((directory / f"{name}.json").read_text())
        self.names = [variable[0] for variable in self.about["variables"]]
        program = gzip.decompress((directory / f"{name}.hlo.gz").read_bytes())
        module = _jax.mlir.hlo_to_stablehlo(program)
        device = jax.devices()[0]
        devices, options = _jax.DeviceList((device,)), _jax.CompileOptions()
        self.executable = device.client.compile_and_load(module, devices, options)
        self.seconds = time.perf_counter() - start

    def __call__(self, arguments, variables):
        """Runs it; `variables` {name: array} have their new values then. Returns the first result.

        The results of a step are known when the device has done it; the call does not wait.
        """
        results = self.executable.execute([*arguments, *(variables[name] for name in self.names)])
        for name, result in self.about["changed"].items():
            variables[name] = results[result]
        return results[0]

    def temporary(self):
        """GiB that it needs beside arguments and results."""
        return self.executable.get_compiled_memory_stats().temp_size_in_bytes / 2**30


def random(kind, shape, rng):
    """An array such as a program can take: images, uniforms, small weights."""
    if kind in ("float32", "bfloat16", "float16"):
        return jax.device_put(rng.uniform(0.001, 0.02, shape).astype(kind))
    if kind == "uint8":
        return jax.device_put(rng.integers(0, 256, shape, dtype=np.uint8))
    return jax.device_put(np.zeros(shape, kind))


def time_all(directory, names, least):
    """Prints a line for every timed program, and returns them as a list."""

    def compile_one(name):
        try:
            return Program(directory, name)
        except Exception as error:  # the others are still wanted
            return error

    with ThreadPoolExecutor(8) as pool:
        compiled = dict(zip(names, pool.map(compile_one, names), strict=True))
    lines = []
    for name in names:
        line = {"name": name}
        lines.append(line)
        try:
            program = compiled[name]
            if isinstance(program, Exception):
                raise program
            line |= program.about | {
                "compile_seconds": program.seconds,
                "temporary_GiB": program.temporary(),
            }
            for key in ("variables", "changed", "arguments"):
                del line[key]
            rng = np.random.default_rng(0)
            arguments = [random(*pair, rng) for pair in program.about["arguments"]]
            variables = {n: random(k, s, rng) for n, k, s in program.about["variables"]}
            times = []
            jax.block_until_ready(program(arguments, variables))
            while len(times) < 3 or (sum(times) < least and len(times) < 50):
                start = time.perf_counter()
                jax.block_until_ready(program(arguments, variables))
                times.append(time.perf_counter() - start)
            line |= {"seconds": float(np.median(times)), "calls": len(times)}
        except Exception as error:
            line["error"] = f"{type(error).__name__}: {error}"[:300]
        compiled[name] = variables = arguments = program = None  # their memory
        print(json.dumps(line), flush=True)
    return lines


def unpacked(packed, shape):
    """Images of two levels from their bits, and less than a byte more."""
    bits, size = np.unpackbits(packed), int(np.prod(shape))
    return bits[: len(bits) // size * size].reshape(-1, *shape)


def train(directory, name, seconds, out):
    """Goes on with a run; writes checkpoints and curve.

    The file {name}.json has the curve, [steps, seconds, loss, nats of held-out images, nats of
    training images], of the first 2,000 of each, and the nats of all held-out images at the end.
    """
    start = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        parts = (f"{name}_steps", f"{name}_score")
        steps, score = pool.map(lambda part: Program(directory, part), parts)
    with np.load(directory / f"{name}.npz") as file:
        saved = {key: file[key] for key in file.files}
    with np.load(directory / f"{name}_images.npz") as file:
        shape = tuple(file["shape"])
        images = {k: unpacked(file[k], shape) for k in ("train", "held_out")}
    variables = {key: jax.device_put(saved[key]) for key in steps.names}
    every = jax.device_put(images["train"])
    chunk, batch = steps.about["arguments"][1][1]
    size = score.about["arguments"][0][1][0]
    made = int(saved["optimizer/iteration"])
    rng = np.random.default_rng([steps.about["seed"], made])
    left, told = np.empty(0, np.int32), {"batch": batch, "curve": []}
    curve = told["curve"]

    def nats(images):
        weights = variables | {w: variables[a] for w, a in score.about["average"].items()}
        whole = len(images) // size * size  # the program takes so many at once
        parts = np.split(images[:whole], whole // size)
        return -float(np.mean([np.mean(score([jax.device_put(p)], weights)) for p in parts]))

    def save(best=False):
        arrays = saved | {key: np.asarray(value) for key, value in variables.items()}
        for file in [f"{name}.npz", f"{name}_best.npz"][: 1 + best]:
            np.savez(out / file, **arrays)
        (out / f"{name}.json").write_text(json.dumps(told))

    begun, next_look = time.perf_counter(), 0.0
    while time.perf_counter() - begun < seconds:
        while len(left) < chunk * batch:
            left = np.concatenate([left, rng.permutation(len(images["train"])).astype(np.int32)])
        now, left = left[: chunk * batch], left[chunk * batch :]
        loss = steps([every, jax.device_put(now.reshape(chunk, batch))], variables)
        made += chunk
        if time.perf_counter() - begun > next_look:
            loss = float(loss)
            if not np.isfinite(loss):
                break
            spent = time.perf_counter() - begun
            looks = [nats(images["held_out"][:2000]), nats(images["train"][:2000])]
            curve.append([made, spent, loss, *looks])
            print(f"{name} {made} steps, {spent:.0f} s: {loss:.4f}, {looks}", flush=True)
            save(best=curve[-1][3] == min(point[3] for point in curve))
            next_look = spent + 20
    if not np.isfinite(float(loss)):
        sys.exit(f"{name}: the loss is not finite after {made} steps; use the last checkpoint")
    told |= {"steps": made, "held_out": nats(images["held_out"])}
    print(f"{name} {made} steps, held out: {told['held_out']:.3f} nats", flush=True)
    save()
    print(f"{name}: {begun - start:.0f} s to compile, {steps.seconds:.0f} of it the step")


def main():
    """Runs what is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, required=True, help="of lower.py")
    parser.add_argument("--out", type=Path, required=True, help="folder for results")
    parser.add_argument("--run", help="name of a run whose training goes on")
    parser.add_argument("--seconds", type=float, default=60, help="of the training")
    parser.add_argument("--least", type=float, default=2, help="seconds of timing a program")
    parser.add_argument("--only", nargs="*", help="programs to be timed")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    print(jax.devices()[0].device_kind, "JAX", jax.__version__, flush=True)
    if options.run:
        train(options.directory, options.run, options.seconds, options.out)
        return
    about = {p.stem: json.loads(p.read_text()) for p in sorted(options.directory.glob("*.json"))}
    names = options.only or [name for name, known in about.items() if "what" in known]
    lines = time_all(options.directory, names, options.least)
    (options.out / "timed.json").write_text(json.dumps(lines, indent=1))
    if failed := [line["name"] for line in lines if "error" in line]:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
