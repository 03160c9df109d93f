"""Declarations of the tasks of sample.py, and what follows from them."""

from types import SimpleNamespace

import absl.flags
import numpy as np
import pytest
from scripts import prompts

from gated_pixelcnn.cli import sample, tasks
from gated_pixelcnn.cli.tasks.task import ImagesFlag, IntegerFlag, Prompts, Task
from gated_pixelcnn.errors import UserError

CHOSEN = [task for task in tasks.TASKS if not isinstance(task, tasks.Draw)]
FLAGS = [(flag.name, task) for task in tasks.TASKS for flag in task.flags]


def choose(*names):
    """The task of flags of these names, each with a value that it can have."""
    values = absl.flags.FlagValues()
    sample.define_flags(values)
    flag_of = {flag.name: flag for task in tasks.TASKS for flag in task.flags}
    choices = {
        name: getattr(values[name].parser, "enum_values", ["1"])[-1] + flag_of[name].ending
        for name in names
    }
    values(["sample.py", *(f"--{name}={value}" for name, value in choices.items())])
    return tasks.choose(values)


@pytest.mark.parametrize("task", CHOSEN, ids=lambda task: task.name)
def test_a_task_is_chosen_by_its_flag_and_refuses_flags_that_it_does_not_take(task):
    for name, other in FLAGS:
        if other is task or name in task.takes:
            assert choose(task.name, name) is task
        else:
            with pytest.raises(UserError, match=f"leave out --({name}|{task.name})$"):
                choose(task.name, name)


def test_a_flag_of_a_task_needs_the_one_that_chooses_it():
    others = [(flag.name, task) for task in CHOSEN for flag in task.flags[1:]]
    assert {name for name, _ in others} == {"beside", "path", "keep_rows", "mask"}
    for name, task in others:
        with pytest.raises(UserError, match=f"^--{name} needs --{task.name}$"):
            choose(name)


def test_without_a_flag_of_another_task_images_are_drawn():
    for names in ([], ["label"], ["like"]):
        assert isinstance(choose(*names), tasks.Draw)


class Negative(Task):
    flags = (ImagesFlag("negative", "Images."), IntegerFlag("strength", "Of it.", least=2))
    takes = ("label",)
    conditions = ("label",)
    impossible = "no class"
    not_exported = "no negatives"

    def _read(self, values, model, trained):
        return Prompts(values.strength, np.arange(values.strength))


def test_a_new_task_is_its_declaration(monkeypatch):
    monkeypatch.setattr(tasks, "TASKS", (Negative(), *tasks.TASKS))
    model = SimpleNamespace(condition_kind="label")
    assert prompts(model, negative="a.png", strength=3, label="0").num == 3
    for values, message in (
        ({"negative": "a.png", "upscale": "b.png"}, "^--negative names .* leave out --upscale$"),
        ({"strength": 3}, "^--strength needs --negative$"),
        ({"negative": "a.png", "strength": 1}, "^--strength must be at least 2, got 1$"),
        ({"negative": "a.png", "saved_model": "b"}, "needs --workdir: no negatives$"),
        ({"resize": True}, "one of --negative, --reconstruct"),
    ):
        with pytest.raises(UserError, match=message):
            prompts(model, **values)
    assert prompts(model, negative="a.png", strength=2, resize=True).num == 2
    with pytest.raises(UserError, match="^--negative is not possible: no class$"):
        prompts(SimpleNamespace(condition_kind=None), negative="a.png", strength=2)
