"""Faults of machines and of users, tried on real trainings: what each of them costs.

    python benchmarks/faults.py
    python benchmarks/faults.py --only=kill,disk --kills=5

Small trainings run as processes, suffer a fault and are started again with the same command. A
fault is survived if the run ends as promised (exit code, one line that says why, in time), goes on
from its last checkpoint, and comes to the result of a run that nothing happened to: every array of
the last checkpoint and of the best one (weights, optimizer, averages), the grids of samples, and
the reports but for images/s, bit for bit; with two workers, within TOLERANCE. The exit code is 1 if
any was not survived.

Which moments are chosen is a function of --seed; what the processes are doing then is not.
"""

import contextlib
import functools
import json
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import flags
from cluster import TRAIN, Cluster

from gated_pixelcnn.errors import UserError, nearest, run
from gated_pixelcnn.training import checkpoints

_KILLS = flags.DEFINE_integer("kills", 20, "Times that a training is killed.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the moments.", lower_bound=0)
_ONLY = flags.DEFINE_list("only", [], "Faults to try, with commas between them; all by default.")

EVALUATE = TRAIN.with_name("evaluate.py")
# A checkpoint of 7.6 MB every three steps: a fair part of the time is spent in saving. What is due
# at different steps does not coincide, so a checkpoint is also within the steps of a report.
ARGUMENTS = [
    "--config=digits",
    "--config.model.features=96",
    "--config.model.first_kernel_size=3",
    "--config.train.batch_size=16",
    "--config.train.steps=150",
    "--config.train.warmup_steps=10",
    "--config.train.log_every=5",
    "--config.train.eval_every=16",
    "--config.train.eval_images=64",
    "--config.train.save_every=3",
    "--config.train.keep=2",
    "--config.train.sample_every=70",
    "--config.train.samples=4",
]
CLUSTER_ARGUMENTS = [*ARGUMENTS, "--config.train.steps=60"]
SAVE_BYTES = 7_600_000  # of a checkpoint, about
PATIENCE = 300  # seconds for what is no measurement, on a machine that may be busy
SIGTERM_SECONDS = 30  # from the signal to the end: clouds grant this and more
LOST_SECONDS = 60  # from the loss of a worker to the end of the others
KILLS_PER_RUN = 5
TOLERANCE = 1e-5  # relative and absolute, of a float32 with two workers


class Lost(Exception):
    """A fault that was not survived: what was found instead."""


# Comparing runs


def differences(workdir, expected, tolerance=0.0):
    """In what a finished run is not the expected one.

    Args:
      workdir: Work directory of a run.
      expected: That of another one.
      tolerance: Relative and absolute, of numbers that are not integers; 0: the same bits.

    Returns:
      List of names and of what is different, empty if nothing is.
    """
    found, wanted = _content(Path(workdir), tolerance), _content(Path(expected), tolerance)
    names = sorted(found.keys() | wanted.keys())
    return [name for name in names if not _equal(found.get(name), wanted.get(name), tolerance)]


def _content(workdir, tolerance):
    """Everything of a run that is to be compared, by name."""
    content = {}
    folder = checkpoints.Checkpoints(workdir / "checkpoints")
    steps = folder.steps()
    last = folder.path(steps[-1]) if steps else folder.directory / "step-none.npz"
    best = folder.directory / checkpoints.BEST
    for kind, path in (("last checkpoint", last), ("best.npz", best)):
        arrays, meta = checkpoints.read(path)
        content |= {f"{kind}: {name}": array for name, array in arrays.items()}
        content |= {f"{kind}: {name}": x for name, x in meta.items() if name != "seconds"}
    content["metrics.jsonl"] = [
        {key: x for key, x in report.items() if key != "train_images_per_second"}
        for report in map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    ]
    if not tolerance:  # else a draw at a boundary may be another
        content |= {p.name: p.read_bytes() for p in (workdir / "samples").glob("*.png")}
    return content


def _equal(a, b, tolerance):
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if (a.dtype, a.shape) != (b.dtype, b.shape):
            return False
        if not tolerance or a.dtype.kind != "f":
            return a.tobytes() == b.tobytes()
        return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance))
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return a == b or abs(a - b) <= tolerance * (1 + abs(b))
    if isinstance(a, list):
        return len(a) == len(b) and all(_equal(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key], tolerance) for key in a)
    return a == b


# What a work directory shows of a run


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


# Processes


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


class Trial:
    """What is counted of a trial."""

    def __init__(self, tried):
        """Args: tried: number of faults in it."""
        self.tried = tried


class Campaign:
    """Work directories and processes of a campaign, and its counts.

    Attributes:
      folder: of the work directories.
      random: random.Random for the moments.
      survived, tried: Dicts of fault and number.
      notes: Dict of fault and a text for the table.
    """

    def __init__(self, folder, seed):
        """Nothing is started."""
        self.folder = Path(folder)
        self._seed = seed
        self._number = 0
        self._processes = []
        self.survived, self.tried, self.notes = {}, {}, {}

    def begin(self, fault):
        """From here on trials of this fault are counted; its moments do not depend on others."""
        self._fault = fault
        self.random = random.Random(f"{self._seed} {fault}")
        self.survived[fault] = self.tried[fault] = 0

    def say(self, text):
        """A line about a trial."""
        print(f"{self._fault:15} {text}", flush=True)

    @contextlib.contextmanager
    def trial(self, tried=1):
        """A context of one trial; Lost within means that its faults were not survived."""
        trial = Trial(tried)
        try:
            yield trial
        except (Lost, OSError, ValueError) as error:  # files that are missing or damaged
            self.say(f"NOT SURVIVED: {' '.join(str(error).split())}")
        else:
            self.survived[self._fault] += trial.tried
        finally:
            self.tried[self._fault] += trial.tried
            self.stop_all()

    def new(self, copy_of=None):
        """A new work directory."""
        self._number += 1
        workdir = self.folder / f"{self._number:03d}"
        if copy_of is not None:
            shutil.copytree(copy_of, workdir)
        return workdir

    def train(self, workdir, *more):
        """Starts a training."""
        training = Training(workdir, [*ARGUMENTS, *more], self.folder)
        self._processes.append(training.process)
        return training

    def train_together(self, workdir):
        """Starts a training of two workers."""
        self._number += 1
        cluster = Cluster(self.folder / f"{self._number:03d}-cluster", 2)
        cluster.start([*CLUSTER_ARGUMENTS, f"--workdir={workdir}"])
        self._processes += cluster.processes
        return cluster

    def stop_all(self):
        """Kills what is left of a trial."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()

    def finish(self, workdir):
        """Starts the same command again, to the end; returns the step at which it resumed."""
        training = self.train(workdir)
        step = training.resumed_at()
        if step != training.step_before:
            raise Lost(f"resumed at step {step}, not at {training.step_before}")
        training.ends()
        self.check_result(workdir, self.reference)
        return step

    def finish_together(self, workdir):
        """The same for two workers; returns a text about it."""
        before = latest_step(workdir)
        cluster = self.train_together(workdir)
        for index, process in enumerate(cluster.processes):
            wait_for_end(process, functools.partial(cluster.output, index), 0, PATIENCE)
        if before and f"resuming at step {before}\n" not in cluster.output(0):
            raise Lost(f"did not resume at step {before}: {cluster.output(0)[-500:]}")
        same = self.check_result(workdir, self.cluster_reference, TOLERANCE)
        return f"both resumed at step {before}, {same}"

    def check_result(self, workdir, expected, tolerance=0.0):
        """Whether a finished run is the expected one; it is then deleted.

        Returns:
          How equal it is, in words.
        """
        different = differences(workdir, expected)
        same = f"equal within {tolerance:g}" if different else "identical"
        if different and tolerance:
            different = differences(workdir, expected, tolerance)
        if different:
            more = f" and {len(different) - 5} more" if len(different) > 5 else ""
            raise Lost(f"{workdir.name} differs in {', '.join(different[:5])}{more}")
        shutil.rmtree(workdir)
        return same

    @functools.cached_property
    def reference(self):
        """Work directory of a run that nothing happened to."""
        workdir = self.new()
        training = self.train(workdir)
        training.resumed_at()
        print(f"reference: {training.ends():.0f} s of training", flush=True)
        return workdir

    @functools.cached_property
    def cluster_reference(self):
        """The same with two workers."""
        workdir = self.new()
        cluster = self.train_together(workdir)
        for index, process in enumerate(cluster.processes):
            wait_for_end(process, functools.partial(cluster.output, index), 0, PATIENCE)
        print("reference of two workers: done", flush=True)
        return workdir


# Moments


def wait_for_moment(training, kind, rng):
    """Waits until a random moment of a training that was just started.

    Args:
      training: Training.
      kind: "start": while it restores, traces its graph and makes the first steps; "step": after it
        has saved once; "save": in one of its first saves.
      rng: random.Random.

    Returns:
      The moment in words, for the report.
    """
    start = training.resumed_at()
    workdir, began = training.workdir, time.monotonic()
    if kind == "start":
        training.until((workdir / "metrics.jsonl").exists, "metrics.jsonl")
        time.sleep(rng.uniform(0.3, 2))  # before, SIGTERM has its usual effect
    elif kind == "step":
        training.until(lambda: latest_step(workdir) > start, "checkpoint")
        time.sleep(rng.uniform(0, 2))
    else:
        for number in range(rng.randint(1, 4)):
            if number:
                training.until(lambda: not half_written(workdir), "end of a save")
            training.until(lambda: half_written(workdir), "save")
        time.sleep(rng.uniform(0, 0.012))
    name = {"start": "at the start", "step": "in the steps", "save": "in a save"}[kind]
    return f"{name}, {time.monotonic() - began:.2f} s after it began at step {start}"


# Faults


def try_kill(campaign):
    """SIGKILL at random moments, several times in one run."""
    total, written = _KILLS.value, []
    kinds = [("save", "step", "save", "step", "start")[i % 5] for i in range(total)]
    campaign.random.shuffle(kinds)
    while kinds:
        left = len(kinds)
        with campaign.trial(tried=0) as trial:
            _kill_a_run(campaign, trial, kinds, written)
        if len(kinds) == left:  # not once: it ended, or failed, too soon
            kinds.pop()
    campaign.notes["kill"] = f"{sum(written)} of the kills left a half-written file"


def _kill_a_run(campaign, trial, kinds, written):
    expected, workdir = campaign.reference, campaign.new()
    training = campaign.train(workdir)
    while kinds and trial.tried < KILLS_PER_RUN:
        moment = wait_for_moment(training, kinds[-1], campaign.random)
        if not training.kill():
            campaign.say(f"{moment}: had ended before it could be killed")
            break
        kinds.pop()
        trial.tried += 1
        step, left_over = latest_step(workdir), half_written(workdir)
        written.append(bool(left_over))
        training = campaign.train(workdir)
        resumed = training.resumed_at()
        half = f", {', '.join(left_over)} left" if left_over else ""
        campaign.say(f"killed {moment}; checkpoint of step {step}{half}; resumed at step {resumed}")
        if resumed != step:
            raise Lost(f"resumed at step {resumed}, not at {step}")
    training.ends()
    campaign.check_result(workdir, expected)
    campaign.say(f"run finished, {trial.tried} times killed: identical")


def try_sigterm(campaign):
    """SIGTERM, as a machine that is preempted sends it."""
    longest = 0
    for kind in ("start", "step", "save", "step"):
        with campaign.trial():
            workdir = campaign.new()
            training = campaign.train(workdir)
            moment = wait_for_moment(training, kind, campaign.random)
            training.process.terminate()
            seconds = training.ends(code=0, within=SIGTERM_SECONDS)
            longest = max(longest, seconds)
            step = campaign.finish(workdir)
            campaign.say(
                f"{moment}: exit 0 after {seconds:.1f} s; resumed at step {step}, identical"
            )
    campaign.notes["sigterm"] = f"exit within {longest:.1f} s"


def _some_steps_together(campaign, workdir):
    """Starts two workers; returns them at a random moment after their first checkpoint."""
    cluster = campaign.train_together(workdir)
    end = time.monotonic() + PATIENCE
    while not latest_step(workdir):
        if time.monotonic() > end or cluster.processes[0].poll() is not None:
            raise Lost(f"two workers do not train: {cluster.output(0)[-500:]}")
        time.sleep(0.01)
    time.sleep(campaign.random.uniform(0, 1.5))
    return cluster


def try_worker(campaign):
    """SIGKILL of one of two workers; the first is the chief."""
    longest = 0
    for victim in (0, 1):
        campaign.cluster_reference  # noqa: B018 (not within the trial)
        with campaign.trial():
            workdir = campaign.new()
            cluster = _some_steps_together(campaign, workdir)
            cluster.processes[victim].kill()
            other = 1 - victim
            output = functools.partial(cluster.output, other)
            seconds = wait_for_end(cluster.processes[other], output, 1, LOST_SECONDS)
            longest = max(longest, seconds)
            check_error(output(), rf"worker {other} has lost another one of the 2 workers")
            name = "the chief" if victim == 0 else "the other worker"
            result = campaign.finish_together(workdir)
            campaign.say(f"{name} killed: the survivor exits 1 after {seconds:.1f} s; {result}")
    campaign.notes["worker"] = f"the survivor ends within {longest:.1f} s"


def try_worker_sigterm(campaign):
    """SIGTERM to one of two workers."""
    longest = 0
    for told in (0, 1):
        campaign.cluster_reference  # noqa: B018 (not within the trial)
        with campaign.trial():
            workdir = campaign.new()
            cluster = _some_steps_together(campaign, workdir)
            cluster.processes[told].terminate()
            start = time.monotonic()
            for index, process in enumerate(cluster.processes):
                output = functools.partial(cluster.output, index)
                wait_for_end(process, output, 0, SIGTERM_SECONDS)
            seconds = time.monotonic() - start
            longest = max(longest, seconds)
            result = campaign.finish_together(workdir)
            name = "the chief" if told == 0 else "the other worker"
            campaign.say(f"to {name}: both exit 0 after {seconds:.1f} s; {result}")
    campaign.notes["worker_sigterm"] = f"both exit within {longest:.1f} s"


class SizeLimit:
    """No file may be larger than half a checkpoint: a limit of the process, as of a quota."""

    name = "limit of the file size"

    def __init__(self, workdir):
        """Nothing is limited yet."""
        self.workdir = workdir

    def fill(self, training):
        """From now on there is no room for a checkpoint."""
        limit = SAVE_BYTES // 2
        resource.prlimit(training.process.pid, resource.RLIMIT_FSIZE, (limit, limit))

    def make_room(self):
        """The next process has no limit."""


class SmallDisk:
    """A file system of a few checkpoints that something else fills to the last byte."""

    name = "full file system"

    def __init__(self, workdir):
        """Takes the work directory to be on it."""
        self.workdir = workdir
        self._ballast = workdir.parent / "ballast"

    def fill(self, training):
        """Fills it until the process has ended: deleted checkpoints make room, too."""
        while training.process.poll() is None:
            with contextlib.suppress(OSError), open(self._ballast, "ab", buffering=0) as file:
                for size in (2**20, 2**12, 1):
                    with contextlib.suppress(OSError):
                        while file.write(bytes(size)) == size:
                            pass
            time.sleep(0.01)

    def make_room(self):
        """Deletes what fills it."""
        self._ballast.unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(folder):
    """A tmpfs of its own; yields its path, None where mounting is not permitted."""
    folder.mkdir()
    size = f"size={8 * SAVE_BYTES}"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], capture_output=True
    )
    if done.returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def try_disk(campaign):
    """A disk that is full: during the run, and when it is started again."""
    campaign.reference  # noqa: B018 (not within the trial)
    with campaign.trial():
        _fill(campaign, SizeLimit(campaign.new()))
    with small_disk(campaign.folder / "small-disk") as folder:
        if folder is None:
            campaign.say("no full file system: mounting a small one is not permitted")
            return
        for _ in range(2):
            with campaign.trial():
                _fill(campaign, SmallDisk(folder / "run"))


def _fill(campaign, disk):
    workdir = disk.workdir
    training = campaign.train(workdir)
    training.until(lambda: latest_step(workdir) >= 18, "checkpoint of step 18")  # and a best one
    time.sleep(campaign.random.uniform(0, 1))
    disk.fill(training)
    training.ends(code=1)
    line = check_error(training.output(), "File too large|No space left", "still there")
    step = latest_step(workdir)
    check_checkpoints(workdir)
    again = campaign.train(workdir)  # still without room
    disk.fill(again)
    again.ends(code=1)
    check_error(again.output(), "File too large|No space left")
    check_checkpoints(workdir)
    if latest_step(workdir) != step or half_written(workdir):
        raise Lost(
            f"a start without room left {half_written(workdir)}, step {latest_step(workdir)}"
        )
    disk.make_room()
    campaign.finish(workdir)
    what = "the checkpoint" if "checkpoint /" in line else "the reports"
    campaign.say(
        f"{disk.name} at step {step}: exit 1, {what} cannot be written, evaluate.py works; again "
        "exit 1 when started without room; resumed with room, identical"
    )


def try_nan(campaign):
    """A learning rate with which the training diverges, and the way back."""
    sane = ["--config.train.schedule=constant", "--config.train.steps=60"]
    changes = ["--allow_changes", "--config.train.learning_rate=1e-3"]
    huge = ["--allow_changes", "--config.train.learning_rate=1e18", "--config.train.clip_norm=0"]
    # The first step at the huge rate ruins the weights, the next one notices. With 32 it is in
    # between that a checkpoint is due, which nobody could go on from.
    for steps in (30, 32):
        with campaign.trial():
            workdir = campaign.new()
            campaign.train(workdir, *sane, f"--config.train.steps={steps}").ends()
            expected = campaign.new(copy_of=workdir)
            campaign.train(expected, *sane, *changes).ends()

            training = campaign.train(workdir, *sane, *huge)
            training.ends(code=1)
            line = check_error(
                training.output(), rf"step {steps + 2} is not finite", "checkpoint of step .* kept"
            )
            check_checkpoints(workdir)
            lower = campaign.train(workdir, *sane, *changes)
            resumed = lower.resumed_at()
            lower.ends()
            same = campaign.check_result(workdir, expected)
            campaign.say(
                f"exit 1, {line[7 : line.index(';')]}; with a lower learning rate resumed at step "
                f"{resumed}, {same} to a run that did not diverge"
            )


def _flip(content, rng):
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _truncate(content, rng):
    del content[rng.randrange(len(content)) :]


def _empty(content, rng):
    content.clear()


def try_damage(campaign):
    """A latest checkpoint that is not what was written."""
    stopped = campaign.new()
    training = campaign.train(stopped)
    training.until(lambda: latest_step(stopped) >= 30, "checkpoint of step 30")
    training.kill()
    before, last = checkpoints.Checkpoints(stopped / "checkpoints").steps()[-2:]
    for damage in (_flip, _flip, _truncate, _empty):
        with campaign.trial():
            workdir = campaign.new(copy_of=stopped)
            path = checkpoints.Checkpoints(workdir / "checkpoints").path(last)
            content = bytearray(path.read_bytes())
            damage(content, campaign.random)
            path.write_bytes(content)
            training = campaign.train(workdir)
            resumed = training.resumed_at()  # the warning comes before
            warned = re.search(r"^warning: .*is damaged.*$", training.output(), re.M)
            if resumed != before or not warned:
                raise Lost(f"resumed at step {resumed}: {training.output()[-500:]}")
            training.ends()
            campaign.check_result(workdir, campaign.reference)
            name = damage.__name__.strip("_")
            campaign.say(
                f"{name}: checkpoint of step {last} called damaged, resumed at step {resumed}, "
                "identical"
            )


def try_two_runs(campaign):
    """A second training in a work directory that is in use."""
    with campaign.trial():
        workdir = campaign.new()
        first = campaign.train(workdir)
        first.resumed_at()
        second = campaign.train(workdir)
        seconds = second.ends(code=1)
        if first.process.poll() is not None:
            raise Lost("the first had ended before the second could be refused")
        check_error(second.output(), "another process is training in the work directory")
        step = latest_step(workdir)
        first.ends()
        same = campaign.check_result(workdir, campaign.reference)
        campaign.say(
            f"the second exits 1 after {seconds:.1f} s, the first is at step {step} then and its "
            f"result {same}"
        )


FAULTS = {
    "kill": try_kill,
    "sigterm": try_sigterm,
    "worker": try_worker,
    "worker_sigterm": try_worker_sigterm,
    "disk": try_disk,
    "nan": try_nan,
    "damage": try_damage,
    "two_runs": try_two_runs,
}


def main(_):
    """Runs the campaign; returns 1 if a fault was not survived."""
    import machine

    for fault in _ONLY.value:
        if fault not in FAULTS:
            raise UserError(f"--only has {fault!r}{nearest(fault, FAULTS)}")
    print(machine.describe())
    start = time.monotonic()
    folder = tempfile.mkdtemp(prefix="faults-")
    campaign = Campaign(folder, _SEED.value)
    try:
        for fault in _ONLY.value or FAULTS:
            campaign.begin(fault)
            FAULTS[fault](campaign)
    finally:
        campaign.stop_all()
    print(f"\n{'fault':15} {'survived/tried':>14}")
    for fault, tried in campaign.tried.items():
        counts = f"{campaign.survived[fault]}/{tried}"
        print(f"{fault:15} {counts:>14}  {campaign.notes.get(fault, '')}".rstrip())
    print(f"{(time.monotonic() - start) / 60:.1f} minutes, --seed={_SEED.value}")
    if campaign.survived == campaign.tried:
        shutil.rmtree(folder)
        return 0
    print(f"what is left of the runs: {folder}")
    return 1


if __name__ == "__main__":
    run(main)
