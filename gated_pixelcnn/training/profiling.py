"""The profile of some steps, for TensorBoard's profile plugin."""

import tensorflow as tf

from gated_pixelcnn.errors import UserError
from gated_pixelcnn.training.monitoring import clear_errors


class Profiler:
    """Records what the machine does in some steps of a run; a context manager.

    The trace is in tensorboard/plugins/profile. What comes between these steps, such as a
    validation, is in it, too. A run that ends before the last of them leaves the trace of those
    that it made; one that is resumed records those that are still to come.
    """

    def __init__(self, run, steps):
        """Records nothing yet.

        Args:
          run: RunDirectory; None (not the chief): nothing is recorded.
          steps: Range of the numbers of the steps, the first step of a run being 1.
        """
        self._run = run
        self._steps = range(0) if run is None else steps
        self._active = False

    def __enter__(self):
        """Nothing to open: recording begins with the first of the steps."""
        return self

    def __exit__(self, *exception):
        """Writes what was recorded; an error of this does not hide the one that ends the run."""
        try:
            self._stop()
        except UserError:
            if exception[0] is None:
                raise

    def step(self, number, make_step):
        """Makes a step, and records it if it is one of those asked for.

        Args:
          number: Of the step.
          make_step: Function without arguments.

        Returns:
          What make_step returns.
        """
        if number not in self._steps:
            return make_step()
        if not self._active:
            with clear_errors(self._run):
                tf.profiler.experimental.start(str(self._run.tensorboard))
            self._active = True
        # The plugin finds the steps by this name and argument.
        with tf.profiler.experimental.Trace("train", step_num=number, _r=1):
            result = make_step()
            tf.nest.map_structure(lambda tensor: tensor.numpy(), result)  # waits for the device
        if number == self._steps[-1]:
            self._stop()
        return result

    def _stop(self):
        if self._active:
            self._active = False
            with clear_errors(self._run):
                tf.profiler.experimental.stop()
