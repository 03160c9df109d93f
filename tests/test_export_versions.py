"""Versions of an exported run: numbered, whole or not there at all."""

import importlib
import os
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import gated_pixelcnn as gpc
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.serving import versions, warm_up


def test_each_export_of_a_run_is_the_next_version(whole, tmp_path):
    model = gpc.load(whole)
    expected = model.sample(2, [0, 1], seed=1, jit=False)
    for version in ("1", "2"):
        path = gpc.export(whole, tmp_path, max_images=2)
        assert path == tmp_path / version
        assert sorted(p.name for p in tmp_path.iterdir()) == ["1", "2"][: int(version)]
        np.testing.assert_array_equal(
            gpc.load_saved_model(path).sample(2, [0, 1], seed=1), expected
        )
    assert gpc.load_saved_model(tmp_path).path == tmp_path / "2"


@pytest.fixture(name="quick")
def make_quick(monkeypatch):
    """Exports that write only a file."""

    def write(model, record, path, *options):
        path.mkdir()
        (path / "saved_model.pb").write_text("model")

    # `gated_pixelcnn.serving.export` is the function of that name.
    module = importlib.import_module("gated_pixelcnn.serving.export")
    monkeypatch.setattr(module, "write", write)


def test_versions_are_numbers_after_the_highest_and_not_what_others_left(whole, tmp_path, quick):
    for name in ("9", "10", "notes", ".unfinished-1"):
        (tmp_path / name).mkdir()
    assert gpc.export(whole, tmp_path) == tmp_path / "11"


def test_a_number_that_another_export_took_in_the_meantime_is_passed_over(
    whole, tmp_path, quick, monkeypatch
):
    rename = Path.rename

    def slow(self, target):
        monkeypatch.setattr(Path, "rename", rename)
        target.mkdir()
        (target / "saved_model.pb").touch()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", slow)
    assert gpc.export(whole, tmp_path) == tmp_path / "2"


def test_a_run_has_its_versions_in_its_directory_by_default(whole, tmp_path, quick):
    run = shutil.copytree(whole, tmp_path / "run")
    assert gpc.export(run) == run / "export" / "1"


def test_a_directory_with_another_name_for_a_number_is_no_version(tmp_path):
    for name in ("2", "007", "x"):
        (tmp_path / name).mkdir()
    assert versions.numbers(tmp_path) == [2]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_export_that_fails_leaves_no_version(whole, tmp_path, monkeypatch, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(warm_up, "write", fail)  # when all else is written
    match = "cannot write the SavedModel to .*No space left" if isinstance(error, OSError) else None
    with pytest.raises(UserError if match else KeyboardInterrupt, match=match):
        gpc.export(whole, tmp_path / "versions")
    assert list((tmp_path / "versions").iterdir()) == []


def test_a_directory_that_cannot_be_written_to_is_told(whole, tmp_path):
    (tmp_path / "file").write_text("kept")
    for output in (tmp_path / "file", tmp_path / "file" / "versions", "/dev/null"):
        with pytest.raises(UserError, match=f"cannot write the SavedModel to {output}"):
            gpc.export(whole, output)
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("number", [0, 100_001, 3_000_000_000, True, 2.0])
def test_max_images_is_a_number_that_a_machine_can_take(whole, tmp_path, number):
    with pytest.raises(UserError, match=f"max_images must be .*from 1 to 100000, got {number}"):
        gpc.export(whole, tmp_path, max_images=number)


def test_exports_at_the_same_time_do_not_get_in_each_others_way(whole, tmp_path, monkeypatch):
    both = threading.Barrier(2, timeout=20)

    def write(model, record, path, *options):
        path.mkdir()
        (path / "saved_model.pb").write_text("model")
        both.wait()  # until the other one has written, too

    monkeypatch.setattr(importlib.import_module("gated_pixelcnn.serving.export"), "write", write)
    with ThreadPoolExecutor(2) as threads:
        paths = list(threads.map(lambda _: gpc.export(whole, tmp_path), range(2)))
    assert sorted(path.name for path in paths) == ["1", "2"]
    assert all((path / "saved_model.pb").read_text() == "model" for path in paths)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


def test_a_version_is_no_directory_of_versions(whole, tmp_path, quick):
    version = gpc.export(whole, tmp_path)
    with pytest.raises(UserError, match="is a version of a SavedModel itself"):
        gpc.export(whole, version)


def test_sigterm_during_an_export_leaves_nothing(whole, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(warm_up, "write", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        gpc.export(whole, tmp_path)
    assert ended.value.code == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_a_killed_export_left_is_deleted_a_day_later(whole, tmp_path, quick):
    for name, age in (("old", 25), ("new", 1)):
        (tmp_path / f".unfinished-{name}").mkdir()
        os.utime(tmp_path / f".unfinished-{name}", (time.time() - age * 3600,) * 2)
    gpc.export(whole, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".unfinished-new", "1"]
