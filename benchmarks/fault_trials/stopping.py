"""A training that is stopped or killed, at chosen moments, or started twice."""

import time

from fault_trials.processes import Lost, check_error, half_written, latest_step

SIGTERM_SECONDS = 30  # from the signal to the end: clouds grant this and more
KILLS_PER_RUN = 5


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


def try_kill(campaign):
    """SIGKILL at random moments, several times in one run."""
    total, written = campaign.kills, []
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
