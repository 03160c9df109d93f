"""Breaks one thing at a time and runs the test that must notice it on the broken code.

    python tools/mutations.py [--jobs=2] [--find] [name ...]

Every mutation is an entry of `tools/mutations/*.toml`: the file of the package, the text that
stands there, the text that takes its place, and the tests that notice it. A mutation that these
tests pass is a survivor, a hole in the tests. Each is tried on a copy of the package in a temporary
folder, by a process that is forked after TensorFlow was imported, which takes longer than a test.

With --find all tests are run until one fails, whatever the entry names.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import sys
import tempfile
import time
import tomllib

ROOT = pathlib.Path(__file__).parents[1]
TABLES = sorted((ROOT / "tools" / "mutations").glob("*.toml"))
SECONDS = 600  # for the tests of one mutation: a loop that no longer ends is noticed, too


def mutations():
    """Name → {"file", "old", "new", "caught_by"}."""
    return {
        name: entry for table in TABLES for name, entry in tomllib.loads(table.read_text()).items()
    }


def mutate(folder, file, old, new):
    """Changes the text wherever it stands in a file of the package in a folder."""
    source = pathlib.Path(folder) / "gated_pixelcnn" / file
    text = source.read_text()
    if old not in text or text.replace(old, new) == text:
        raise ValueError(f"{file} has no {old!r} to change: mend the list of mutations")
    source.write_text(text.replace(old, new))


def copy_project(folder):
    """Copies what tests need."""
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")
    made = {ROOT / "runs", ROOT / "build"}  # not the package's folder of the same name

    def left_out(path, names):
        return ignored(path, names) | {n for n in names if pathlib.Path(path, n) in made}

    shutil.copytree(ROOT, folder, ignore=left_out, dirs_exist_ok=True)


def start(entry, tests):
    """Starts the tests on the broken code; returns the process and the folder with its output."""
    folder = tempfile.mkdtemp()
    copy_project(folder)
    mutate(folder, entry["file"], entry["old"], entry["new"])
    child = os.fork()
    if child:
        return child, folder
    code = 1
    try:
        run_tests(folder, tests)
    except SystemExit as end:
        code = end.code
    finally:
        os._exit(code)


def run_tests(folder, tests):
    """Runs the tests in this process, in a folder, and leaves with pytest's exit code."""
    import pytest

    os.setsid()
    output = os.open(f"{folder}/output", os.O_CREAT | os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.chdir(folder)
    os.environ["PYTHONPATH"] = folder
    sys.path.insert(0, folder)
    sys.exit(pytest.main(["-x", "-n0", "-m", "", "-p", "no:cacheprovider", *tests]))


def wait_for(running):
    """Waits for one of the processes; returns its number and whether its tests failed."""
    while True:
        for child, (_, _, began) in running.items():
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return child, os.waitstatus_to_exitcode(status)
            if time.monotonic() > began + SECONDS:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child, 9)
        time.sleep(0.05)


def noticed(folder, code):
    """(Whether a test failed, what the tests printed of it)."""
    lines = pathlib.Path(folder, "output").read_text(errors="replace").splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    if code == 1 and failed:
        return True, failed[0].split(" - ")[0]
    if code < 0:
        return True, f"no end within {SECONDS} s" if code == -9 else f"died of signal {-code}"
    return False, "" if code == 0 else "\n".join(lines[-5:])


def main():
    """Tries the mutations named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name")
    parser.add_argument("--jobs", type=int, default=2, help="mutations tried at a time")
    parser.add_argument("--find", action="store_true", help="run all tests until one fails")
    arguments = parser.parse_args()
    entries = mutations()
    unknown = set(arguments.names) - entries.keys()
    if unknown:
        sys.exit(f"no mutation is called {', '.join(sorted(unknown))}")

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    # Forked processes need not import these again.
    import hypothesis  # noqa: F401
    import keras  # noqa: F401
    import pytest  # noqa: F401
    import tensorflow  # noqa: F401
    import tensorflow_probability.python.distributions  # noqa: F401

    waiting, running, survivors, began = list(arguments.names or entries), {}, [], time.monotonic()
    total = len(waiting)
    while waiting or running:
        while waiting and len(running) < arguments.jobs:
            name = waiting.pop(0)
            tests = [] if arguments.find else entries[name]["caught_by"]
            child, folder = start(entries[name], tests)
            running[child] = name, folder, time.monotonic()
        child, code = wait_for(running)
        name, folder, since = running.pop(child)
        caught, by = noticed(folder, code)
        survivors += [] if caught else [name]
        seconds = time.monotonic() - since
        print(f"{'caught  ' if caught else 'SURVIVED'} {seconds:5.0f} s  {name}: {by}", flush=True)
        shutil.rmtree(folder)
    print(f"survived {len(survivors)} / tried {total}, {time.monotonic() - began:.0f} s")
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main()
