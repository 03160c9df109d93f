"""Ctrl-C and SIGTERM as requests, so that a run is saved before it ends."""

import contextlib
import signal
import threading


class Stopped(BaseException):
    """Raised in the middle of long work that may be cut short at any point.

    No Exception: TensorFlow, in whose midst it is raised, turns those into others.
    """


class StopRequests:
    """Context in which Ctrl-C (SIGINT) and SIGTERM only set `signal`, for the loop to look at.

    A second signal has its usual effect at once.

    Attributes:
      signal: None, or the signal that came (signal.SIGINT or signal.SIGTERM).
    """

    def __init__(self):
        """No signal has come."""
        self.signal = None
        self._previous = {}
        self._raise = False

    def __enter__(self):
        """Takes over the signals (only possible in the main thread; elsewhere they stay)."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception):
        """Gives the signals back."""
        self._restore()

    def _restore(self):
        while self._previous:
            signal.signal(*self._previous.popitem())

    def _handle(self, number, frame):
        self.signal = signal.Signals(number)
        self._restore()
        if self._raise:
            raise Stopped

    @contextlib.contextmanager
    def cut_short(self, at_once=True):
        """A context that Stopped ends without further effect: for evaluation and sampling.

        Args:
          at_once: Whether a signal raises it, wherever the body may be. (Not where other workers
            would wait for this one.)
        """
        try:
            try:
                self._raise = at_once
                yield
            finally:
                self._raise = False
        except Stopped:
            pass
