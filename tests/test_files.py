"""Files that are written whole or not at all."""

import errno
import os
import re
from pathlib import Path

import pytest

import gated_pixelcnn
from gated_pixelcnn import files
from gated_pixelcnn.errors import UserError


def test_a_file_appears_under_its_name_only_when_it_is_on_the_disk(tmp_path, monkeypatch):
    path, order = tmp_path / "new" / "a.txt", []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(number):
        order.append(("fsync", os.fstat(number).st_size))
        fsync(number)

    def watched_replace(source, target):
        order.append(("replace", Path(source).parent == path.parent))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    with files.atomic_write(path) as file:
        file.write(b"text")
        assert not path.exists()
    assert order == [("fsync", 4), ("replace", True)]
    assert path.read_bytes() == b"text" and os.listdir(path.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("temporary", [None, "b.tmp"])
def test_what_fails_leaves_the_old_file_and_no_other(tmp_path, error, temporary):
    path = tmp_path / "a.txt"
    path.write_text("before")
    raised, message = KeyboardInterrupt, None
    if isinstance(error, OSError):
        raised, message = UserError, re.escape(f"cannot write {path} (No space left); make room")
    temporary = temporary and tmp_path / temporary
    with (
        pytest.raises(raised, match=message),
        files.atomic_write(path, temporary, lambda: "; make room") as file,
    ):
        file.write(b"half")
        raise error
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["a.txt"]


def test_no_other_module_renames_what_it_has_written():
    package = Path(gated_pixelcnn.__file__).parent
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"os\.(replace|rename|fsync)\(", path.read_text())
    }
    assert found == {"files.py"}


def test_looking_whether_a_file_can_be_written_leaves_it_as_it_is(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("old")
    files.check_writable(path)
    assert path.read_text() == "old"
    files.check_writable(tmp_path / "new" / "b.png")
    assert not list((tmp_path / "new").iterdir())
    for wrong in (tmp_path, path / "c.png"):
        with pytest.raises(UserError, match=f"cannot write {wrong} "):
            files.check_writable(wrong)
