"""The progress of a run on the terminal."""

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
    SECONDS_BETWEEN_LINES = 30

    def __init__(self, out=None, unit="bits/dim"):
        """Args: out: where to write, by default stderr; unit: of the loss."""
        self.unit = unit
        self.out = sys.stderr if out is None else out
        self.in_place = self.out.isatty()
        self._width = 0
        self._last_line = -float("inf")

    def update(self, step, steps, fraction, seconds_left, loss, images_per_second):
        """Shows where the run is.

        Args:
          step: Steps done.
          steps: Steps asked for.
          fraction: Part of the run that is done, 0..1 (of the steps or of the time limit).
          seconds_left: Expected time until the end.
          loss: Average training loss since the last update.
          images_per_second: Training speed since the last update.
        """
        text = (
            f"step {step}/{steps}  {loss:.4f} {self.unit}  "
            f"{images_per_second:.0f} images/s  {duration(seconds_left)} left"
        )
        if self.in_place:
            done = round(fraction * self.BAR)
            text = f"[{'#' * done}{'.' * (self.BAR - done)}] {100 * fraction:3.0f}%  {text}"
            self.out.write("\r" + text.ljust(self._width))
            self._width = len(text)
            self.out.flush()
        elif time.monotonic() - self._last_line >= self.SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            print(f"{100 * fraction:3.0f}%  {text}", file=self.out, flush=True)

    def say(self, text):
        """Prints a line that stays."""
        if self.in_place and self._width:
            self.out.write("\r" + " " * self._width + "\r")
            self._width = 0
        print(text, file=self.out, flush=True)
