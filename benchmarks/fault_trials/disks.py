"""A disk without room for a checkpoint."""

import contextlib
import resource
import subprocess
import time

from fault_trials.campaign import SAVE_BYTES
from fault_trials.processes import Lost, check_checkpoints, check_error, half_written, latest_step


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
