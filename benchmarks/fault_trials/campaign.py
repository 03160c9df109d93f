"""The trials of a campaign: their work directories, the runs to compare with, and the counts."""

import contextlib
import functools
import random
import shutil
from pathlib import Path

from cluster import Cluster

from fault_trials.comparing import differences
from fault_trials.processes import PATIENCE, Lost, Training, latest_step, wait_for_end

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
TOLERANCE = 1e-5  # relative and absolute, of a float32 with two workers


class Trial:
    """What is counted of a trial."""

    def __init__(self, tried):
        """Args: tried: number of faults in it."""
        self.tried = tried


class Campaign:
    """Work directories and processes of a campaign, and its counts.

    Attributes:
      folder: of the work directories.
      kills: Times that a training is to be killed.
      random: random.Random for the moments.
      survived, tried: Dicts of fault and number.
      notes: Dict of fault and a text for the table.
    """

    def __init__(self, folder, seed, kills):
        """Nothing is started."""
        self.folder = Path(folder)
        self.kills = kills
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
