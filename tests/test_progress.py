"""The bar on a terminal, and the lines elsewhere."""

import io

import numpy as np
from scripts import call

from gated_pixelcnn.cli import sample
from gated_pixelcnn.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(text):
    """What a terminal's last line shows after a text."""
    line = ""
    for part in text.split("\n")[-1].split("\r"):
        line = part + line[len(part) :]
    return line.rstrip()


def test_a_terminal_shows_a_bar_that_is_redrawn_and_taken_away():
    out = Terminal()
    progress = Progress(out)
    progress.update(0.25, "25 of 100 images", 3725)
    assert shown(out.getvalue()) == f"[{6 * '#'}{18 * '.'}]  25%  25 of 100 images  1:02:05 left"
    progress.update(0.5, "50 of 100", 65)
    assert shown(out.getvalue()) == f"[{12 * '#'}{12 * '.'}]  50%  50 of 100  1:05 left"
    progress.say("stays")
    assert out.getvalue().endswith("\rstays\n")
    progress.update(0.5, "50 of 100", 65)
    progress.clear()
    assert shown(out.getvalue()) == ""


def test_a_file_gets_a_line_now_and_then():
    out = io.StringIO()
    progress = Progress(out, seconds_between_lines=1e6)
    for done in (1, 2):
        progress.update(done / 4, f"{done} of 4", float("inf"))
    progress.clear()
    assert out.getvalue() == " 25%  1 of 4  ? left\n"


def test_sampling_shows_its_batches(digits, tmp_path, monkeypatch, capsys):
    output = [f"--output={tmp_path / 'a.png'}", f"--npz={tmp_path / 'a.npz'}"]
    where = [f"--workdir={digits}", "--label=0", "--nojit", *output]
    call(sample, monkeypatch, *where, "--num=4", "--batch_size=4")
    assert "left" not in capsys.readouterr().err
    call(sample, monkeypatch, *where, "--num=4", "--batch_size=1")
    assert capsys.readouterr().err == ""  # it is there in less than five seconds
    monkeypatch.setattr(sample, "Progress", lambda **how: Progress())
    call(sample, monkeypatch, *where, "--num=4", "--batch_size=1")
    assert " 25%  1 of 4 images  ? left" in capsys.readouterr().err
    assert len(np.load(tmp_path / "a.npz")["images"]) == 4
