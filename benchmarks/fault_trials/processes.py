"""A training as a process: its start, its end, and what its work directory shows meanwhile."""

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cluster import TRAIN

from gated_pixelcnn.runs import checkpoints

EVALUATE = TRAIN.with_name("evaluate.py")
PATIENCE = 300  # seconds for what is no measurement, on a machine that may be busy


class Lost(Exception):
    """A fault that was not survived: what was found instead."""


def latest_step(workdir):
    """The step of the latest checkpoint; 0 if there is none."""
    return max(checkpoints.Checkpoints(workdir / "checkpoints").steps(), default=0)


def half_written(workdir):
    """Names of the files that are being written, or were when the process died."""
    return sorted(path.name for path in (workdir / "checkpoints").glob("*.tmp"))


def check_checkpoints(workdir):
    """Whether all checkpoints are whole and evaluate.py can use the run."""
    for path in sorted((workdir / "checkpoints").glob("*.npz")):
        try:
            checkpoints.read(path)
        except checkpoints.DamagedCheckpoint as error:
            raise Lost(str(error)) from error
    options = [f"--workdir={workdir}", "--json", "--nobaselines", "--num_images=32"]
    done = subprocess.run([sys.executable, EVALUATE, *options], capture_output=True, text=True)
    if done.returncode or not json.loads(done.stdout)["bits_per_dim"] > 0:
        raise Lost(f"evaluate.py ended with {done.returncode}: {done.stderr.strip()[-300:]}")


def check_error(output, *texts):
    """Whether a process ended with one line of error that has some texts; returns the line."""
    lines = [line for line in output.splitlines() if line.startswith("error:")]
    if len(lines) != 1 or "Traceback" in output:
        raise Lost(f"not one line of error but: {output.strip()[-500:]}")
    for text in texts:
        if not re.search(text, lines[0]):
            raise Lost(f"the error does not say {text!r}: {lines[0]}")
    return lines[0]


class Training:
    """train.py as a process on a work directory; what it writes is in a file."""

    def __init__(self, workdir, arguments, logs):
        """Starts it; logs: directory of the file, which must not be on a disk that is full."""
        self.workdir = workdir
        self.step_before = latest_step(workdir)
        with tempfile.NamedTemporaryFile(
            dir=logs, prefix=f"{workdir.name}-", suffix=".log", delete=False
        ) as log:
            self._log = Path(log.name)
            self.process = subprocess.Popen(
                [sys.executable, str(TRAIN), f"--workdir={workdir}", *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def output(self):
        """What it has written."""
        return self._log.read_text()

    def until(self, condition, what):
        """Waits until a function returns something true.

        Returns:
          What it returned; None if the process ended before.
        """
        end = time.monotonic() + PATIENCE
        while not (found := condition()):
            if self.process.poll() is not None:
                return condition() or None
            if time.monotonic() > end:
                raise Lost(f"no {what} within {PATIENCE} s")
            time.sleep(0.001)
        return found

    def resumed_at(self):
        """Waits until it trains again; returns the step at which it began."""
        if not self.until(lambda: "parameters\n" in self.output(), "beginning"):
            raise Lost(f"ended with {self.process.poll()}: {self.output().strip()[-500:]}")
        if not self.step_before:
            return 0
        pattern = re.compile(r"resuming at step (\d+)\n")
        found = self.until(lambda: pattern.search(self.output()), "resumption")
        if not found:
            raise Lost(f"did not resume: {self.output().strip()[-500:]}")
        return int(found[1])

    def kill(self):
        """Kills it; says whether it had not ended before."""
        self.process.kill()
        return self.process.wait() == -signal.SIGKILL

    def ends(self, code=0, within=PATIENCE):
        """Waits for its end; returns the seconds that it took.

        Raises:
          Lost: it ends with another exit code, or not in time.
        """
        return wait_for_end(self.process, self.output, code, within)


def wait_for_end(process, output, code, within):
    """See Training.ends."""
    start = time.monotonic()
    try:
        found = process.wait(within)
    except subprocess.TimeoutExpired:
        raise Lost(f"has not ended within {within} s: {output().strip()[-500:]}") from None
    if found != code:
        raise Lost(f"ended with {found}, not {code}: {output().strip()[-500:]}")
    return time.monotonic() - start
