"""The scripts as they are called."""

import json

import pytest
from scripts import call, script

from gated_pixelcnn.cli import evaluate, sample
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation import BitsPerDim


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("csv", []),
        ("output", ["--label=1"]),
        ("npz", ["--label=1", "--output={tmp}/a.png"]),
        ("gif", ["--label=1", "--output={tmp}/a.png"]),
    ],
)
def test_file_that_cannot_be_written_is_found_before_the_work(
    digits, monkeypatch, tmp_path, name, arguments
):
    def work(*args, **kwargs):
        pytest.fail("the work was begun")

    monkeypatch.setattr(BitsPerDim, "evaluate", work)
    monkeypatch.setattr(sample, "draw", work)
    path = f"/dev/null/a.{name.replace('output', 'png')}"
    arguments = [argument.format(tmp=tmp_path) for argument in arguments]
    with pytest.raises(UserError, match=f"cannot write {path}"):
        script = evaluate if name == "csv" else sample
        call(script, monkeypatch, f"--workdir={digits}", f"--{name}={path}", *arguments)
    assert not list(tmp_path.iterdir())


def test_scripts_print_results_only(digits, tmp_path):
    done = script("evaluate.py", f"--workdir={digits}", "--json", "--num_images=10")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["num_images"] == 10
    done = script(
        "sample.py", f"--workdir={digits}", "--label=all", f"--output={tmp_path / 'a.png'}"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.png").is_file()


def test_mistake_ends_a_script_with_one_line_and_exit_code_1(tmp_path):
    done = script("sample.py", f"--workdir={tmp_path}", "--num=2")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert "is not the work directory of a run" in done.stderr


@pytest.mark.parametrize("name", ["evaluate.py", "sample.py"])
def test_help_tells_the_purpose_and_the_flags(name):
    done = script(name, "--help")
    assert f"python {name} --workdir=runs/a" in done.stdout
    assert "--batch_size" in done.stdout and "--workdir" in done.stdout
