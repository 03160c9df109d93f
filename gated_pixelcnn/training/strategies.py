"""Distribution strategies: one device, all GPUs of this machine, or several machines.

The cluster of `multi_worker` is described by the environment: TF_CONFIG, or the variables that
SLURM gives to the tasks of srun. Both are read by TensorFlow's own resolvers, after a look at what
they would trip over.
"""

import contextlib
import faulthandler
import json
import os
import signal
import socket
import sys

import tensorflow as tf

from gated_pixelcnn.errors import UserError, nearest

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker")
SECONDS_OF_PATIENCE = 900  # machines may start one after the other
_ROLES = ("chief", "worker")  # tasks that train; others (ps, evaluator) have no part in this
_SLURM = (
    "SLURM_PROCID",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_STEP_NODELIST",
    "SLURM_STEP_TASKS_PER_NODE",
)


def make_strategy(name="auto", say=None):
    """Makes the strategy of a name; call before TensorFlow computes anything.

    Args:
      name: one_device: the first GPU, or the CPU; mirrored: all visible GPUs, or, where there is
        none, all logical CPU devices; multi_worker: the devices of all workers of TF_CONFIG or of
        SLURM; auto: multi_worker if TF_CONFIG names more than one worker, else mirrored if there
        is more than one GPU, else one_device.
      say: Function that is given a line about what is waited for, or None.

    Returns:
      tf.distribute.Strategy.

    Raises:
      UserError: no strategy has this name, or the environment does not describe a cluster, or
        this process cannot join it.
    """
    if name not in STRATEGIES:
        raise UserError(f"--strategy is {name!r}{nearest(name, STRATEGIES)}")
    if name == "auto":
        name = _suggested()
    if name == "multi_worker":
        return _multi_worker(say)
    if name == "one_device":
        return tf.distribute.get_strategy()
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    # Without GPUs the default would leave the process unable to make a strategy of another size.
    reduction = None if gpus else tf.distribute.HierarchicalCopyAllReduce()
    return tf.distribute.MirroredStrategy([device.name for device in devices], reduction)


def _suggested():
    if os.environ.get("TF_CONFIG") and _number_of_tasks(_tf_config()["cluster"]) > 1:
        return "multi_worker"
    return "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "one_device"


def divide_cpu(devices):
    """Cuts the CPU into logical devices; call before TensorFlow computes anything."""
    [cpu] = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(devices)]
    tf.config.set_logical_device_configuration(cpu, parts)


def _multi_worker(say):
    resolver = _resolver()
    spec = resolver.cluster_spec().as_dict()
    own = spec[resolver.task_type][resolver.task_id]
    count = _number_of_tasks(spec)
    _check_port(own)
    others = [address for role in sorted(spec) for address in spec[role] if address != own]
    if others and say is not None:
        say(
            f"{resolver.task_type} {resolver.task_id} at {own} waits for {', '.join(others)}, "
            f"for {SECONDS_OF_PATIENCE / 60:g} minutes at most"
        )
    # TensorFlow would wait for an hour, and not let any of Python's threads or signals in.
    faulthandler.dump_traceback_later(SECONDS_OF_PATIENCE, exit=True, file=sys.__stderr__)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        if "program startup" in str(error):
            raise UserError(
                "workers can be joined only before TensorFlow has computed anything: make the "
                "strategy of several workers first, or train in a process of its own"
            ) from error
        first_line = (str(error).strip().splitlines() or [""])[0][:300]
        raise UserError(
            f"{resolver.task_type} {resolver.task_id} at {own} could not join the {count} workers "
            f"({first_line}); check that all have the same cluster and start all of them again"
        ) from error
    finally:
        faulthandler.cancel_dump_traceback_later()
    # While it connects, TensorFlow takes SIGTERM over and would swallow it.
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    return strategy


def _resolver():
    if os.environ.get("TF_CONFIG"):
        _tf_config()
        return tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if "SLURM_PROCID" in os.environ:
        return _slurm_resolver()
    raise UserError(
        "--strategy=multi_worker needs the addresses of the workers: set TF_CONFIG for each of "
        "them, or start them with srun of SLURM; docs/scaling.md shows both"
    )


def _tf_config():
    """The contents of TF_CONFIG, checked; see docs/scaling.md for what it looks like."""
    text = os.environ["TF_CONFIG"]
    try:
        config = json.loads(text)
    except ValueError as error:
        raise UserError(f"TF_CONFIG is not JSON ({error}): {text[:200]}") from error
    cluster = config.get("cluster") if isinstance(config, dict) else None
    if not isinstance(cluster, dict) or not any(cluster.get(role) for role in _ROLES):
        raise UserError(
            'TF_CONFIG names no workers: it needs {"cluster": {"worker": ["host:port", ...]}, '
            f'"task": {{"type": "worker", "index": 0}}}}, but is {text[:200]}'
        )
    for role, addresses in cluster.items():
        if role not in _ROLES:
            raise UserError(
                f"TF_CONFIG has tasks of type {role!r}; training here knows "
                f"{' and '.join(_ROLES)} only"
            )
        _check_addresses(role, addresses)
    every = [address for addresses in cluster.values() for address in addresses]
    if len(set(every)) < len(every):
        raise UserError(f"TF_CONFIG has an address twice: {', '.join(sorted(every))}")
    if len(cluster.get("chief", ())) > 1:
        raise UserError("TF_CONFIG has more than one chief; make all but one of them workers")
    _check_task(config.get("task"), cluster)
    return config


def _check_addresses(role, addresses):
    if not isinstance(addresses, list):
        raise UserError(
            f"TF_CONFIG must have a list of addresses for {role!r}, but has {addresses!r}"
        )
    for address in addresses:
        host, _, port = str(address).rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise UserError(f"TF_CONFIG has the address {address!r}; addresses look like host:2222")


def _check_task(task, cluster):
    """Whether TF_CONFIG tells which of the addresses is this process'."""
    task = task if isinstance(task, dict) else {}
    role, index = task.get("type"), task.get("index")
    if role is None or index is None:
        raise UserError(
            'TF_CONFIG does not say which worker this process is: "task": {"type": "worker", '
            '"index": 0} is missing, or a part of it'
        )
    if not isinstance(role, str) or not cluster.get(role):
        raise UserError(
            f"TF_CONFIG says that this process is a {role!r}, but its cluster has "
            f"{', '.join(sorted(cluster))} only"
        )
    count = len(cluster[role])
    if not str(index).isdecimal() or int(index) >= count:
        raise UserError(
            f"TF_CONFIG says that this process is {role} {index}, whose address is missing: there "
            f"are {count}, counted from 0"
        )


def _slurm_resolver():
    """The cluster of srun's tasks.

    Each task uses the GPUs that it sees (`srun --gpus-per-task`), not those that TensorFlow's
    resolver would give it: CUDA has been told by the time that it is asked.
    """
    missing = [name for name in _SLURM if name not in os.environ]
    if missing:
        raise UserError(
            f"{', '.join(missing)} is not set: start the workers with srun (SLURM gives it to the "
            "tasks of srun only), or set TF_CONFIG"
        )
    try:
        # Ports of its own for every job: two of them may share a node.
        port = 10_000 + int(os.environ.get("SLURM_JOB_ID", "0")) % 20_000
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=port,
            gpus_per_node=int(os.environ["SLURM_STEP_NUM_TASKS"]),  # enough for a dummy each
            gpus_per_task=1,
            auto_set_gpu=False,
        )
        spec = resolver.cluster_spec()
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"SLURM's variables do not describe the tasks of a step: {error}"
        ) from error
    role, index = resolver.get_task_info()
    own, node = spec.task_address(role, index), os.environ.get("SLURMD_NODENAME")
    if node and own.rpartition(":")[0] != node:
        raise UserError(
            f"task {index} runs on {node}, but TensorFlow's SLURM resolver, which sorts the nodes "
            f"by name, takes it to be on {own.rpartition(':')[0]}; set TF_CONFIG instead"
        )
    gpus = len(tf.config.list_physical_devices("GPU"))
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        spec, task_type=role, task_id=index, num_accelerators={"GPU": gpus}, rpc_layer="grpc"
    )


def _check_port(address):
    """Whether this process could listen at its address, as far as can be told beforehand."""
    port = address.rpartition(":")[2]
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", int(port)))
        except OSError as error:
            raise UserError(
                f"this worker cannot listen at {address} ({error.strerror}); is another worker of "
                f"the same index running on this machine, or another program at port {port}?"
            ) from error


def _number_of_tasks(cluster):
    return sum(len(addresses) for addresses in cluster.values())
