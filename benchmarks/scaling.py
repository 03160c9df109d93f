"""What training at the paper's sizes takes: arithmetic, memory and traffic, and from these days.

    python benchmarks/scaling.py

The sizes of the presets are counted from the graph of their training step, which is traced but
never run: no weight is allocated, and the figures are the same on every machine. The times are
expectations from public peak figures of GPUs and not measurements; docs/scaling.md tells what they
assume.

The formula of benchmarks/training.py takes six operations per weight of a kernel and position:
a multiply-add forward, and one each for the gradient of the input and of the kernel. The exit code
is 1 if it differs from the count by more than a few per cent. It counts a little too much, for the
image has no gradient: the first block's two kernels take four operations, not six.
"""

import dataclasses
import math

from absl import flags
from training import operations

from gated_pixelcnn.errors import run

_UTILISATION = flags.DEFINE_float(
    "utilisation", 0.35, "Share of a GPU's peak that the step reaches.", 0.01, 1.0
)
_BATCH = flags.DEFINE_integer("batch_size", 128, "Images per step, over all GPUs.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 200_000, "Steps of the whole training.", lower_bound=1)

PRECISIONS = ("float32", "mixed_bfloat16")
PRESETS = ("cifar10", "imagenet32", "imagenet64")
TOLERANCE = 0.03  # of the formula, relative to the count
GPUS_PER_HOST = 8
FLOAT = 4  # bytes: weights, gradients and averages are float32 at every precision
# Weights, gradients, Adam's two averages, the moving average of the weights.
COPIES = 5


@dataclasses.dataclass(frozen=True)
class Gpu:
    """Figures of a data sheet: dense, without structured sparsity.

    Attributes:
      name: Its name.
      link: Bytes per second and direction to the other GPUs of its host.
      peaks: Precision -> operations per second. That of float32 is TF32's, in which TensorFlow
        computes its products on these GPUs.
    """

    name: str
    link: float
    peaks: dict[str, float]


GPUS = (
    Gpu("A100 80GB SXM", 300e9, {"float32": 156e12, "mixed_bfloat16": 312e12}),
    Gpu("H100 80GB SXM", 450e9, {"float32": 494.7e12, "mixed_bfloat16": 989.4e12}),
)


def abstract_model(preset, precision="float32"):
    """The model of a preset with shapes but no values."""
    import keras

    from gated_pixelcnn import configs
    from gated_pixelcnn.runs.build import build_model

    config = configs.get_config(preset)
    size = config.data.image_size or 32  # of CIFAR-10
    with keras.StatelessScope(initialize_variables=False):
        return build_model(config, (size, size, 3), config.data.levels, dtype=precision)


def trace(model, batch):
    """Traces loss and gradients of a batch; the weights are placeholders.

    Args:
      model: A built model; its weights need no values.
      batch: Number of images.

    Returns:
      (forward, backward): lists of the graph's operations that the gradients depend on.
    """
    import keras
    import tensorflow as tf

    weights = model.trainable_variables
    number_forward = 0

    def step(images, *values):
        nonlocal number_forward
        mapping = list(zip(weights, values, strict=True))
        with (
            keras.StatelessScope(mapping, initialize_variables=False),
            tf.GradientTape() as tape,
        ):
            tape.watch(values)
            loss = tf.reduce_sum(model.training_loss(images, None, training=True))
        number_forward = len(loss.graph.get_operations())
        return tape.gradient(loss, values)

    images = tf.TensorSpec((batch, *model.image_shape), tf.uint8)
    values = [tf.TensorSpec(weight.shape, weight.dtype) for weight in weights]
    graph = tf.function(step, autograph=False).get_concrete_function(images, *values).graph
    # What nothing reads is never run: the gradient of the image, for one.
    needed, left = set(), [tensor.op for tensor in graph.outputs]
    while left:
        operation = left.pop()
        if operation not in needed:
            needed.add(operation)
            left += [tensor.op for tensor in operation.inputs] + operation.control_inputs
    parts = graph.get_operations()[:number_forward], graph.get_operations()[number_forward:]
    return [[operation for operation in part if operation in needed] for part in parts]


def products(operation):
    """Floating-point operations of a convolution, a matrix product or a gradient of one.

    Each multiply-add counts as two, at the borders as everywhere else.
    """

    def size(tensor):
        return tensor.shape.num_elements()

    inputs, kind = operation.inputs, operation.type
    if kind == "Conv2D":  # window, kernel
        return 2 * size(inputs[1]) * size(operation.outputs[0]) // inputs[1].shape[-1]
    if kind == "Conv2DBackpropInput":  # shape, kernel, gradient
        return 2 * size(inputs[1]) * size(inputs[2]) // inputs[1].shape[-1]
    if kind == "Conv2DBackpropFilter":  # window, shape, gradient -> gradient of the kernel
        return 2 * size(operation.outputs[0]) * size(inputs[2]) // inputs[2].shape[-1]
    if kind == "MatMul":
        inner = inputs[0].shape[0 if operation.get_attr("transpose_a") else 1]
        return 2 * inner * size(operation.outputs[0])
    if "MatMul" in kind or "Conv" in kind or kind == "Einsum":
        raise NotImplementedError(f"{kind} is not counted")
    return 0


def counted(model):
    """Floating-point operations of one step for one image, counted from its graph."""
    return sum(products(operation) for part in trace(model, 1) for operation in part)


def image_gradient(model):
    """Operations that the formula takes too many: those of the gradient of the image itself."""
    height, width, _ = model.image_shape
    first = model.blocks[0]
    kernels = [first.column_conv.kernel, first.row_conv.kernel]
    return 2 * height * width * sum(math.prod(kernel.shape) for kernel in kernels)


def profiled(model):
    """What TensorFlow's profiler counts instead, in the same graph.

    It takes every convolution to be padded to its input's size and so counts the backward ones over
    the padded windows; it also counts element-wise operations.
    """
    import tensorflow as tf

    graph = trace(model, 1)[0][0].graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    level = tf.get_logger().level
    tf.get_logger().setLevel("ERROR")  # it uses a deprecated function
    try:
        profile = tf.compat.v1.profiler.profile(graph, cmd="scope", options=options)
    finally:
        tf.get_logger().setLevel(level)
    return profile.total_float_ops


def kept_bytes(model):
    """Bytes of an image's activations that a step keeps from the forward for the backward pass."""

    def kept(batch):
        forward, backward = trace(model, batch)
        produced = {tensor.ref() for operation in forward for tensor in operation.outputs}
        read = {tensor.ref() for operation in backward for tensor in operation.inputs}
        tensors = [reference.deref() for reference in read & produced]
        return sum(tensor.shape.num_elements() * tensor.dtype.size for tensor in tensors)

    return kept(2) - kept(1)  # without what does not depend on the batch: weights, masks


def all_reduce_seconds(num_bytes, num, bandwidth):
    """Time in which `num` GPUs in a ring add up `num_bytes` each.

    Args:
      num_bytes: Size of the gradients.
      num: Number of GPUs.
      bandwidth: Bytes per second and direction of the ring's slowest link.
    """
    return 2 * (num - 1) / num * num_bytes / bandwidth


def step_seconds(image_operations, num_bytes, batch_size, num, peak, bandwidth):
    """Expected time of a step: the arithmetic, then the all-reduce, nothing at the same time.

    Args:
      image_operations: Floating-point operations of a step for one image.
      num_bytes: Size of the gradients.
      batch_size: Images per step, over all GPUs.
      num: Number of GPUs.
      peak: Operations per second that a GPU reaches.
      bandwidth: As for all_reduce_seconds.
    """
    compute = image_operations * batch_size / num / peak
    return compute + all_reduce_seconds(num_bytes, num, bandwidth)


def ring_bandwidth(gpu, num, network):
    """Bytes per second and direction of the slowest link of a ring of `num` GPUs.

    Args:
      gpu: One of GPUS.
      num: Number of GPUs; up to GPUS_PER_HOST of them share a host.
      network: Gb/s of a host to the others.
    """
    return gpu.link if num <= GPUS_PER_HOST else min(gpu.link, network * 1e9 / 8)


def table(header, rows):
    """Prints a table in Markdown."""
    print()
    for row in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(row) + " |", flush=True)


def main(_):
    """Prints the tables; returns 1 if formula and count do not agree."""
    utilisation, batch, steps = _UTILISATION.value, _BATCH.value, _STEPS.value
    sizes, memories, times, wrong, unexplained = [], [], [], [], []
    for preset in PRESETS:
        model = abstract_model(preset)
        count, formula = counted(model), operations(model)
        num_bytes, state = FLOAT * model.count_params(), COPIES * FLOAT * model.count_params()
        difference, rest = formula / count - 1, formula - image_gradient(model) - count
        unexplained.append(f"{preset} {rest:,}")
        if abs(difference) > TOLERANCE:
            wrong.append(f"{preset} ({difference:+.1%})")
        sizes.append(
            [
                preset,
                "x".join(map(str, model.image_shape)),
                f"{model.count_params():,}",
                f"{count / 1e9:.1f}",
                f"{formula / 1e9:.1f} ({difference:+.2%})",
                f"{profiled(model) / 1e9:.1f}",
                f"{num_bytes / 1e6:.0f}",
                f"{state / 1e9:.2f}",
            ]
        )
        for precision in PRECISIONS:
            kept = kept_bytes(abstract_model(preset, precision))
            needed = [(state + batch / num * kept) / 1e9 for num in (1, 8, 32)]
            row = [preset, precision, f"{kept / 1e6:.0f}"]
            memories.append([*row, *(f"{gigabytes:.1f}" for gigabytes in needed)])
        for gpu in GPUS:
            for precision, peak in gpu.peaks.items():
                row = [preset, gpu.name, precision]
                for num, network in ((1, 0), (8, 0), (32, 100), (32, 400)):
                    bandwidth = ring_bandwidth(gpu, num, network)
                    reached = utilisation * peak
                    seconds = step_seconds(count, num_bytes, batch, num, reached, bandwidth)
                    row.append(f"{seconds:.3f} s, {seconds * steps / 86400:.2f} days")
                times.append(row)
    print("Traced, not run:")
    table(
        [
            "preset",
            "images",
            "parameters",
            "GFLOP per image, counted",
            "formula",
            "TensorFlow's profiler",
            "gradients, MB",
            "state, GB",
        ],
        sizes,
    )
    print(f"\nMemory per GPU in GB, a total batch of {batch}, without recomputation:")
    header = ["preset", "precision", "activations, MB per image", "1 GPU", "8 GPUs", "32 GPUs"]
    table(header, memories)
    print(f"\nExpected: {utilisation:.2f} of the peak, a total batch of {batch}, {steps:,} steps:")
    header = ["preset", "GPU", "precision", "1 GPU", "8 GPUs, one host"]
    table([*header, "32 GPUs, 100 Gb/s", "32 GPUs, 400 Gb/s"], times)
    print()
    if wrong:
        print(
            f"The formula differs from the count by more than {TOLERANCE:.0%}: {', '.join(wrong)}"
        )
        return 1
    print("The formula takes the gradient of the image to be computed, which it is not. Operations")
    print(f"per image by which it differs from the count without it: {', '.join(unexplained)}.")
    return 0


if __name__ == "__main__":
    run(main)
