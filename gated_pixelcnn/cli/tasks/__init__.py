"""Tasks of sample.py, one file each. A new one needs its file and its place in TASKS."""

from absl import flags

from gated_pixelcnn import cli
from gated_pixelcnn.cli.tasks.colourise import Colourise
from gated_pixelcnn.cli.tasks.draw import Draw
from gated_pixelcnn.cli.tasks.inpaint import Inpaint
from gated_pixelcnn.cli.tasks.interpolate import Interpolate
from gated_pixelcnn.cli.tasks.latents import Latents
from gated_pixelcnn.cli.tasks.reconstruct import Reconstruct
from gated_pixelcnn.cli.tasks.task import Flag
from gated_pixelcnn.cli.tasks.upscale import Upscale
from gated_pixelcnn.errors import UserError

flags.disclaim_key_flags()  # they are sample.py's
# The first one whose flag is given is chosen; the last one needs none.
TASKS = (
    *(Reconstruct(), Interpolate(), Latents(), Colourise(), Upscale(), Inpaint()),
    Draw(),
)
RESIZE = Flag(
    "resize",
    "Prepare larger image files as those of training: cut to their middle and averaged down to the "
    "size that is needed; a --mask, too.",
    False,
    flags.DEFINE_bool,
)


def define_flags(values):
    """Defines the flags of all tasks, and those of all images that are read."""
    for task in TASKS:
        for flag in task.flags:
            flag.define_in(values)
    cli.define_reading_flags(values)
    RESIZE.define_in(values)


def choose(values):
    """Returns the Task of some FlagValues; a UserError says which cannot be used together."""
    task = next((task for task in TASKS if task.flags[0].given(values)), TASKS[-1])
    every = [(flag, other) for other in TASKS for flag in other.flags]
    for flag, other in every:
        flag.check(values)
        if other is task or flag.name in task.takes or not flag.given(values):
            continue
        if task is TASKS[-1]:
            raise UserError(f"--{flag.name} needs --{other.name}")
        raise UserError(f"--{task.name} names what to draw from itself: leave out --{flag.name}")
    images = [flag for flag, _ in every if flag.images]
    if values.resize and not any(flag.given(values) for flag in images):
        names = ", ".join(f"--{flag.name}" for flag in images)
        raise UserError(f"--resize needs images: one of {names}")
    if task.not_exported and values.saved_model:
        raise UserError(f"--{task.name} needs --workdir: {task.not_exported}")
    return task
