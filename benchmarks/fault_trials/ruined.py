"""Weights or checkpoints that nobody can go on from."""

import re

from fault_trials.processes import Lost, check_checkpoints, check_error, latest_step
from gated_pixelcnn.runs import checkpoints


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
