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


class _Calls:
    """The calls that TensorFlow's threads make."""

    def __init__(self):
        self._lock = threading.Lock()
        self._running = 0
        self._last = -QUIET_SECONDS
        self._ending = False

    def counted(self, function):
        """Returns the function, which fails once `end` was called."""

        def call(*arguments):
            with self._lock:
                self._running += 1
            try:
                if self._ending:
                    raise RuntimeError("the program ends")
                return function(*arguments)
            finally:
                with self._lock:
                    self._running -= 1
                    self._last = time.monotonic()

        return call

    def end(self):
        """Waits until there are no calls any more."""
        self._ending = True
        while self._running or time.monotonic() - self._last < QUIET_SECONDS:
            time.sleep(QUIET_SECONDS / 10)


_calls = _Calls()
atexit.register(_calls.end)


def numpy_function(function, inputs, dtype):
    """The same as tf.numpy_function, but the process can end while batches are being made.

    Args:
      function: Maps arrays to an array. TensorFlow keeps it until the process ends.
      inputs: Tensors.
      dtype: Type of the result.
    """
    return tf.numpy_function(_calls.counted(function), inputs, dtype)
