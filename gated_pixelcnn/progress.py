"""The progress of long work on the terminal."""

import math
import sys
import time


def duration(seconds):
    """Formats seconds as h:mm:ss, or m:ss below an hour; unknown (infinite) ones as ?."""
    if math.isinf(seconds):
        return "?"
    minutes, seconds = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class Progress:
    """A bar that is redrawn in place; or a line now and then where output is not a terminal."""

    BAR = 24

    def __init__(self, out=None, seconds_between_lines=30, waits=False):
        """Makes the bar.

        Args:
          out: Where to write, by default stderr.
          seconds_between_lines: At least.
          waits: Whether the first line waits as long, too: short work has none.
        """
        self.seconds_between_lines = seconds_between_lines
        self.out = sys.stderr if out is None else out
        self.in_place = self.out.isatty()
        self._width = 0
        self._last_line = time.monotonic() if waits else -math.inf

    def update(self, fraction, text, seconds_left):
        """Shows where the work is.

        Args:
          fraction: Part of it that is done, 0..1.
          text: What is done.
          seconds_left: Expected time until the end.
        """
        text = f"{text}  {duration(seconds_left)} left"
        if self.in_place:
            done = round(fraction * self.BAR)
            text = f"[{'#' * done}{'.' * (self.BAR - done)}] {100 * fraction:3.0f}%  {text}"
            self.out.write("\r" + text.ljust(self._width))
            self._width = len(text)
            self.out.flush()
        elif time.monotonic() - self._last_line >= self.seconds_between_lines:
            self._last_line = time.monotonic()
            print(f"{100 * fraction:3.0f}%  {text}", file=self.out, flush=True)

    def say(self, text):
        """Prints a line that stays."""
        self.clear()
        print(text, file=self.out, flush=True)

    def clear(self):
        """Takes the bar away."""
        if self._width:
            self.out.write("\r" + " " * self._width + "\r")
            self.out.flush()
            self._width = 0
