"""Writes training steps, samplers and forward passes as XLA programs, for a GPU without TensorFlow.

    python benchmarks/lower.py --directory=lowered --runs=runs/long
    python benchmarks/lowered.py --directory=lowered --out=results    # there; needs JAX and NumPy

The programs are those that TensorFlow gives to XLA (`jit_compile=True`), with variables as
parameters and results. The step is that of `TrainState`, with optimizer and moving average, so what
it has made of a checkpoint is a checkpoint of the same run (of other batches: their order is not
that of train.py). Operations outside of XLA, and with them tf.distribute, are not in a program.
"""

import gzip
import json
import re
import shutil
from pathlib import Path

from absl import flags

from gated_pixelcnn.errors import UserError, run

_DIRECTORY = flags.DEFINE_string("directory", None, "Folder for the programs.", required=True)
_RUNS = flags.DEFINE_list(
    "runs",
    [],
    "Work directories of runs that are to go on there: with a checkpoint and a moving "
    "average, in float32, of images of two levels without a condition.",
)
_CHUNK = flags.DEFINE_integer("chunk", 200, "Their steps in one call.", lower_bound=1)
_SPEED = flags.DEFINE_bool("speed", True, "Also what is only timed.")
_SMALL = flags.DEFINE_bool("small", False, "What is timed in small sizes, to try it.")

# What is timed: name, preset, changes, what is run, batch.
IMAGENET, CIFAR = "imagenet32", "cifar10"
BFLOAT16, FLOAT16 = {"train.precision": "mixed_bfloat16"}, {"train.precision": "mixed_float16"}
TIMED = [
    ("imagenet32_float32", IMAGENET, {}, "step", 128),
    ("imagenet32_bfloat16", IMAGENET, BFLOAT16, "step", 128),
    ("imagenet32_bfloat16_remat", IMAGENET, BFLOAT16 | {"train.remat": True}, "step", 128),
    ("cifar10_float32", CIFAR, {}, "step", 64),
    ("cifar10_bfloat16", CIFAR, BFLOAT16, "step", 64),
    ("cifar10_float16", CIFAR, FLOAT16, "step", 64),
    *((f"cifar10_forward_{n}", CIFAR, {}, "forward", n) for n in (1, 16, 256)),
    *((f"cifar10_sample_{n}", CIFAR, {}, "sample", n) for n in (1, 16, 256)),
]


def write(name, function, arguments, variables, **about):
    """Writes a function as a program, NAME.hlo.gz and NAME.json.

    Args:
      name: of the files.
      function: of tensors → nest of tensors.
      arguments: TensorSpecs.
      variables: {name: variable}, all that the function reads or changes.
      **about: what else is to be known there.
    """
    import tensorflow as tf

    compiled = tf.function(function, autograph=False, jit_compile=True)
    graph = compiled.get_concrete_function(*arguments)
    program = compiled.experimental_get_compiler_ir(*arguments)
    name_of = {id(variable.handle): name for name, variable in variables.items()}
    names = [name_of[id(handle)] for handle in graph.captured_inputs]
    aliases = program(stage="hlo").split("entry_computation_layout")[0]
    aliases = re.findall(r"\{(\d+)\}: \((\d+), \{\}", aliases)  # of results to parameters
    about |= {
        "arguments": [[x.dtype.name, x.shape.as_list()] for x in arguments],
        "variables": [[x, variables[x].dtype.name, variables[x].shape.as_list()] for x in names],
        "changed": {
            names[int(parameter) - len(arguments)]: int(result) for result, parameter in aliases
        },
    }
    folder = Path(_DIRECTORY.value)
    (folder / f"{name}.hlo.gz").write_bytes(gzip.compress(portable(program), 3))
    (folder / f"{name}.json").write_text(json.dumps(about))
    print(f"{name}: {len(names)} variables, {len(about['changed'])} of them changed", flush=True)


def portable(program):
    """The program as bytes of XLA's HloModuleProto, of operations that StableHLO has, too."""
    from tensorflow.compiler.xla.service import hlo_pb2

    module = hlo_pb2.HloModuleProto.FromString(program(stage="hlo_serialized"))
    for computation in module.computations:
        for instruction in computation.instructions:
            if instruction.opcode == "copy":
                instruction.opcode = "reshape"  # to the same shape
    return module.SerializeToString()


def plain(variable):
    """The tf.Variable of a Keras variable, or of itself."""
    return variable if callable(variable.value) else variable.value


def variables_of(state):
    """All variables of a state, by their names in a checkpoint."""
    return {name: plain(variable) for name, variable in state.variables().items()}


def steps_of(state, num):
    """The function that makes `num` steps: (all images, indices [num, batch]) → mean loss."""
    import tensorflow as tf

    def function(images, indices):
        def step(i, total):
            loss, _ = state._run_replicas((tf.gather(images, indices[i]),))
            return i + 1, total + loss

        loop = (tf.constant(0), tf.constant(0.0))
        _, total = tf.while_loop(lambda i, _: i < num, step, loop)
        return total / num

    return function


def write_timed(name, preset, changes, what, batch):
    """Writes a row of TIMED."""
    import tensorflow as tf
    import training

    from gated_pixelcnn import configs, sampling
    from gated_pixelcnn.configs.training import TrainConfig
    from gated_pixelcnn.runs.build import build_model
    from gated_pixelcnn.training.state import TrainState

    config = configs.get_config(preset)
    config.update_from_flattened_dict({"train.batch_size": batch} | changes)
    if _SMALL.value:
        config.model.update(features=12, layers=2, head_features=12)
    shape = (32, 32, 3)
    model = build_model(config, shape, 256, dtype=config.train.precision)
    state = TrainState(model, TrainConfig(**config.train), 0, tf.distribute.get_strategy())
    images = tf.TensorSpec((batch, *shape), tf.uint8)
    if what == "step":
        function, arguments = steps_of(state, 1), [images, tf.TensorSpec((1, batch), tf.int32)]
    elif what == "forward":
        function, arguments = model.__call__, [images]
    else:
        values = (batch, *shape, model.likelihood.noise_per_value)
        function, arguments = lambda x: sampling.sample(model, x), [tf.TensorSpec(values)]
    forward = batch * training.operations(model) / 3
    operations = {"step": 3 * forward, "forward": forward, "sample": forward}[what]
    about = {"operations": operations, "passes": 32 * 32 * 3}
    write(name, function, arguments, variables_of(state), what=what, batch=batch, **about)


def write_run(workdir):
    """Writes step, likelihood, checkpoint and images of a run."""
    import numpy as np
    import tensorflow as tf

    from gated_pixelcnn import data
    from gated_pixelcnn.configs.training import TrainConfig
    from gated_pixelcnn.runs.build import build_model
    from gated_pixelcnn.runs.checkpoints import Checkpoints, path_of
    from gated_pixelcnn.runs.directory import RunDirectory
    from gated_pixelcnn.training.state import TrainState

    directory, name = RunDirectory(workdir), Path(workdir).name
    config = directory.read_config()["config"]
    found = Checkpoints(directory.checkpoints).latest()
    dataset = data.load(data.DataConfig(**config.data))
    model = build_model(config, dataset.image_shape, dataset.levels)
    refused = {
        "has no checkpoint": found is None,
        "has no moving average": not config.train.ema_decay,
        f"computes in {config.train.precision}": config.train.precision != "float32",
        f"has images of {dataset.levels} levels": dataset.levels != 2,
        "has a condition": model.condition_kind is not None,
    }
    for reason, given in refused.items():
        if given:
            raise UserError(f"{workdir} {reason}: --runs cannot take it")
    state = TrainState(
        model, TrainConfig(**config.train), config.seed, tf.distribute.get_strategy()
    )
    state.restore(found.arrays, found.path)
    shutil.copy(found.path, Path(_DIRECTORY.value) / f"{name}.npz")

    train, held_out = dataset.train.images, dataset.validation.images
    images = {"train": np.packbits(train), "held_out": np.packbits(held_out)}
    np.savez(Path(_DIRECTORY.value) / f"{name}_images.npz", shape=dataset.image_shape, **images)
    variables = variables_of(state)
    batch = tf.TensorSpec((500, *dataset.image_shape), tf.uint8)
    paths = [path_of(weight) for weight in model.trainable_variables]
    average = {f"weights/{path}": f"average/{path}" for path in paths}
    write(
        f"{name}_score",
        lambda x: tf.reduce_sum(model.log_prob_terms_of(x), axis=1),
        [batch],
        variables,
        average=average,
    )
    order = tf.TensorSpec((_CHUNK.value, config.train.batch_size), tf.int32)
    every = tf.TensorSpec(train.shape, tf.uint8)
    steps = steps_of(state, _CHUNK.value)
    write(f"{name}_steps", steps, [every, order], variables, seed=config.seed)


def main(_):
    """Writes all programs."""
    from gated_pixelcnn import sampling

    # As on a GPU; this machine has none.
    sampling.loop.parts_of = lambda num, jit: [num]
    Path(_DIRECTORY.value).mkdir(parents=True, exist_ok=True)
    if len({Path(workdir).name for workdir in _RUNS.value}) < len(_RUNS.value):
        raise UserError("two of --runs have the same name")
    for workdir in _RUNS.value:
        write_run(workdir)
    if _SPEED.value:
        for row in TIMED:
            write_timed(*row)


if __name__ == "__main__":
    run(main)
