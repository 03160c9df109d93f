"""The frame of the scripts: clear errors, exit codes and silence."""

import subprocess
import sys

import pytest

from gated_pixelcnn.errors import nearest

SCRIPT = """
import sys
from gated_pixelcnn import errors
assert "tensorflow" not in sys.modules

def main(argv):
    {body}

errors.run(main, load_tensorflow={load})
"""


def run(body, load=False):
    script = SCRIPT.format(body=body, load=load)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)


def test_user_error_is_one_line_on_stderr_and_exit_code_1():
    done = run(r"raise errors.UserError('bad flag:\n7')")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: bad flag: 7\n")


def test_bug_keeps_its_traceback():
    done = run("raise ValueError('a bug')")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ValueError: a bug" in done.stderr


def test_interrupt_is_exit_code_130():
    done = run("raise KeyboardInterrupt")
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_returned_value_is_the_exit_code():
    assert [run("return None").returncode, run("return 3").returncode] == [0, 3]


def test_tensorflow_starts_in_silence_and_stderr_works_afterwards():
    body = (
        "import tensorflow as tf; print(float(tf.reduce_sum(tf.ones(3))));"
        "print('mine', file=sys.stderr)"
    )
    done = run(body, load=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3.0\n", "mine\n")


def test_scripts_do_not_wait_for_matplotlib_and_may_use_it(tmp_path):
    (tmp_path / "matplotlib").mkdir()
    (tmp_path / "matplotlib" / "__init__.py").write_text("print('imported')")
    (tmp_path / "matplotlib" / "pyplot.py").write_text("")
    done = run(
        f"sys.path.insert(0, {str(tmp_path)!r}); errors.import_tensorflow_quietly(); "
        "print('keras' in sys.modules); import matplotlib"
    )
    assert (done.returncode, done.stdout) == (0, "True\nimported\n")


def test_failure_of_the_import_is_not_hidden(tmp_path):
    broken = "import os; os.write(2, b'no such library\\n'); raise ImportError('broken')"
    (tmp_path / "tensorflow.py").write_text(broken)
    done = run(f"sys.path.insert(0, {str(tmp_path)!r}); errors.import_tensorflow_quietly()")
    assert done.stderr.startswith("no such library\n")
    assert "ImportError: broken" in done.stderr


@pytest.mark.parametrize(
    ("word", "hint"),
    [("MNITS", "; did you mean 'mnist'?"), ("zebra", "; choose from mnist, cifar10")],
)
def test_nearest_suggests_what_is_alike_or_lists_what_there_is(word, hint):
    assert nearest(word, ["mnist", "cifar10"]) == hint


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("sample", ["--workdir={nothing}"], "is not the work directory of a run"),
        ("evaluate", ["--workdir={nothing}"], "is not the work directory of a run"),
        ("export", ["--workdir={nothing}"], "is not the work directory of a run"),
        ("sample", ["--workdir={digits}"], "give --label=0…9"),
        ("sample", ["--workdir={digits}", "--label=bag"], "bag is neither a number 0…9"),
        ("sample", ["--workdir={digits}", "--temperature=0"], "--temperature must be above 0"),
        ("sample", ["--saved_model=x", "--method=rows"], "an exported model draws by pixels"),
        ("sample", ["--saved_model=x", "--jit"], "export.py --jit says it"),
        ("evaluate", ["--workdir={digits}", "--saved_model=x"], "give either --workdir or"),
    ],
)
def test_mistakes_that_the_run_tells_do_not_wait_for_tensorflow(
    digits, tmp_path, script, arguments, message
):
    arguments = [text.format(nothing=tmp_path, digits=digits) for text in arguments]
    (tmp_path / "tensorflow.py").write_text("raise ImportError('it was imported')")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv[0] = {script!r}; "
    program += f"from gated_pixelcnn.cli import {script}; {script}.run()"
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and message in done.stderr
