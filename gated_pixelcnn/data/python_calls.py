"""Python functions inside of tf.data, and an interpreter that can end in spite of them.

A thread of tf.data that asks for the interpreter while it shuts down never comes back, and whoever
destroys the iterator waits for it: the process would hang. So at exit, calls that are under way
are waited for, and new ones fail at once, until tf.data has filled its buffers with failures.
"""

import atexit
import threading
import time

import tensorflow as tf

QUIET_SECONDS = 0.1  # without a call, until none is taken to be under way

_change = threading.Lock()
_running, _last, _ending = 0, -QUIET_SECONDS, False


def numpy_function(function, inputs, dtype):
    """Does the same as tf.numpy_function, but the process can end while batches are being made.

    Args:
      function: Maps arrays to an array. TensorFlow keeps it until the process ends.
      inputs: Tensors.
      dtype: Type of the result.
    """

    def call(*arguments):
        global _running, _last
        with _change:
            _running += 1
        try:
            if _ending:
                raise RuntimeError("the program ends")
            return function(*arguments)
        finally:
            with _change:
                _running -= 1
                _last = time.monotonic()

    return tf.numpy_function(call, inputs, dtype)


@atexit.register
def _end():
    """Waits until there are no calls any more."""
    global _ending
    _ending = True
    while _running or time.monotonic() - _last < QUIET_SECONDS:
        time.sleep(QUIET_SECONDS / 10)
