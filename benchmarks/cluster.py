"""Workers of one training as processes of this machine, for tests and benchmarks."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

TRAIN = Path(__file__).parent.parent / "train.py"


def free_ports(count):
    """Ports that nobody listens at."""
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Cluster:
    """Several `train.py --strategy=multi_worker`, each with its TF_CONFIG."""

    def __init__(self, folder, count):
        """Args: folder: for the logs; count: number of workers."""
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.addresses = [f"localhost:{port}" for port in free_ports(count)]
        self.processes = []

    def start(self, arguments, per_worker=None):
        """Starts all workers.

        Args:
          arguments: of train.py.
          per_worker: more arguments, a list for each worker.
        """
        for index in range(len(self.addresses)):
            more = per_worker[index] if per_worker else []
            self.start_one(index, [*arguments, *more])
        return self

    def start_one(self, index, arguments, addresses=None, folder=None):
        """Starts one worker.

        Args:
          index: which one.
          arguments: of train.py.
          addresses: what it takes the cluster to be, if not what it is.
          folder: its working directory.
        """
        config = {
            "cluster": {"worker": addresses or self.addresses},
            "task": {"type": "worker", "index": index},
        }
        with open(self.log(index), "w") as log:
            process = subprocess.Popen(
                [sys.executable, str(TRAIN), "--strategy=multi_worker", *arguments],
                env=os.environ | {"TF_CONFIG": json.dumps(config)},
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
        self.processes.append(process)

    def log(self, index):
        """The file to which a worker writes."""
        return self.folder / f"worker-{index}.log"

    def output(self, index):
        """What a worker has written."""
        return self.log(index).read_text()

    def wait_for(self, text, index=0, seconds=240):
        """Waits until a worker has written a text."""
        end = time.monotonic() + seconds
        while text not in self.output(index):
            if self.processes[index].poll() is not None or time.monotonic() > end:
                raise AssertionError(f"no {text!r} in: {self.output(index)}")
            time.sleep(0.05)

    def wait(self, seconds=240):
        """Waits for all; returns their exit codes, None for one that had not ended."""
        end = time.monotonic() + seconds
        codes = []
        for process in self.processes:
            try:
                codes.append(process.wait(max(0.1, end - time.monotonic())))
            except subprocess.TimeoutExpired:
                codes.append(None)
        return codes

    def __enter__(self):
        """Nothing more to do."""
        return self

    def __exit__(self, *exception):
        """Kills what is left."""
        for process in self.processes:
            process.kill()
            process.wait()
