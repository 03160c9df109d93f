"""Two workers, of which one is killed or told to stop."""

import functools
import time

from fault_trials.processes import PATIENCE, Lost, check_error, latest_step, wait_for_end
from fault_trials.stopping import SIGTERM_SECONDS

LOST_SECONDS = 60  # from the loss of a worker to the end of the others


def try_worker(campaign):
    """SIGKILL of one of two workers; the first is the chief."""

    def kill(cluster, victim):
        cluster.processes[victim].kill()
        other = 1 - victim
        output = functools.partial(cluster.output, other)
        wait_for_end(cluster.processes[other], output, 1, LOST_SECONDS)
        check_error(output(), rf"worker {other} has lost another one of the 2 workers")
        return "killed: the survivor exits 1"

    longest = _strike_each(campaign, kill)
    campaign.notes["worker"] = f"the survivor ends within {longest:.1f} s"


def try_worker_sigterm(campaign):
    """SIGTERM to one of two workers."""

    def terminate(cluster, told):
        cluster.processes[told].terminate()
        for index, process in enumerate(cluster.processes):
            output = functools.partial(cluster.output, index)
            wait_for_end(process, output, 0, SIGTERM_SECONDS)
        return "told to stop: both exit 0"

    longest = _strike_each(campaign, terminate)
    campaign.notes["worker_sigterm"] = f"both exit within {longest:.1f} s"


def _strike_each(campaign, strike):
    """Strikes the chief, in a second trial the other worker; both are started again after that.

    Args:
      campaign: Campaign.
      strike: Function of the cluster and the index of a worker: strikes it, waits until the
        processes have ended, returns in words what has happened.

    Returns:
      The seconds that this took at most.
    """
    longest = 0
    for index, name in enumerate(("the chief", "the other worker")):
        campaign.cluster_reference  # noqa: B018 (not within the trial)
        with campaign.trial():
            workdir = campaign.new()
            cluster = _some_steps_together(campaign, workdir)
            start = time.monotonic()
            happened = strike(cluster, index)
            seconds = time.monotonic() - start
            longest = max(longest, seconds)
            result = campaign.finish_together(workdir)
            campaign.say(f"{name} {happened} after {seconds:.1f} s; {result}")
    return longest


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
