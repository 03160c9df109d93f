"""A checkpoint is complete or absent, and damage to it is noticed."""

import errno
import os
import zipfile

import numpy as np
import pytest

from gated_pixelcnn.errors import UserError
from gated_pixelcnn.training import checkpoints
from gated_pixelcnn.training.checkpoints import Checkpoints, DamagedCheckpoint

ARRAYS = {"weights/0000": np.arange(2000, dtype=np.float32), "optimizer/0000": np.int64(7)}


def write(path):
    checkpoints.write(path, ARRAYS, {"step": 3, "best": None})
    return path


def test_what_was_written_is_read(tmp_path):
    arrays, meta = checkpoints.read(write(tmp_path / "a.npz"))
    assert meta == {"step": 3, "best": None}
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def test_a_flipped_bit_is_noticed_or_harmless(tmp_path):
    path = write(tmp_path / "a.npz")
    original = path.read_bytes()
    expected, meta = checkpoints.read(path)
    noticed = 0
    # Headers are near the start; most of the rest is one array, which is read in parts.
    places = [
        *((byte, 5) for byte in range(700)),
        *((b, b % 8) for b in range(700, len(original), 29)),
    ]
    for byte, bit in places:
        changed = bytearray(original)
        changed[byte] ^= 1 << bit
        path.write_bytes(changed)
        try:
            arrays, found = checkpoints.read(path)
        except DamagedCheckpoint:
            noticed += 1
            continue
        # Bytes of the archive that mean nothing to us, such as the time in its headers.
        assert found == meta and arrays.keys() == expected.keys()
        for name in expected:
            np.testing.assert_array_equal(arrays[name], expected[name])
    assert noticed > 0.7 * len(places)


def test_a_truncated_or_foreign_file_is_noticed(tmp_path):
    path = write(tmp_path / "a.npz")
    whole = path.read_bytes()
    for content in (b"", b"garbage", whole[:100], whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(DamagedCheckpoint, match="a.npz is damaged"):
            checkpoints.read(path)
    np.savez(path, a=np.zeros(3))
    with pytest.raises(DamagedCheckpoint):
        checkpoints.read(path)
    write(path)
    with np.load(path) as file:
        np.savez(path, **{name: file[name] for name in file.files if name != "optimizer/0000"})
    with pytest.raises(DamagedCheckpoint, match="arrays are missing"):
        checkpoints.read(path)
    with pytest.raises(DamagedCheckpoint):
        checkpoints.read(tmp_path / "missing.npz")


def test_the_latest_whole_checkpoint_is_used_and_damaged_ones_are_set_aside(tmp_path):
    files = Checkpoints(tmp_path, keep=3)
    for step in (1, 2, 3):
        files.save(step, ARRAYS, {"step": step})
    files.path(3).write_bytes(files.path(3).read_bytes()[:-100])
    expected = "step-000000003.npz is damaged .*; using the checkpoint of step 2$"
    with pytest.warns(UserWarning, match=expected):
        assert files.latest()[1] == {"step": 2}
    assert files.steps() == [1, 2, 3]  # looking changes nothing
    with pytest.warns(UserWarning, match="damaged"):
        files.latest(set_aside=True)
    assert files.steps() == [1, 2]
    assert files.latest()[1] == {"step": 2}


def test_no_checkpoint_is_none_but_only_damaged_ones_are_an_error(tmp_path):
    files = Checkpoints(tmp_path / "new")
    assert files.latest() is None and files.best() is None and files.steps() == []
    files.save(1, ARRAYS, {})
    files.path(1).write_bytes(b"")
    for _ in range(2):  # the first attempt must not make the second a fresh start
        with pytest.raises(UserError, match="all checkpoints .* damaged"):
            files.latest(set_aside=True)
    assert files.steps() == [1]


def test_only_the_latest_are_kept_and_the_best_beside_them(tmp_path):
    files = Checkpoints(tmp_path, keep=2)
    for step in (5, 10, 1000):
        files.save(step, ARRAYS, {"step": step})
        if step == 5:
            files.save_best(ARRAYS, {"step": 5})
    assert files.steps() == [10, 1000]
    assert files.best()[1] == {"step": 5}


def test_a_damaged_best_checkpoint_is_none_with_a_warning(tmp_path):
    files = Checkpoints(tmp_path)
    files.save_best(ARRAYS, {})
    (tmp_path / "best.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match="best.npz is damaged .* no other checkpoint"):
        files.best()
    files.save(1, ARRAYS, {})
    with pytest.warns(UserWarning, match="best.npz is damaged"):
        assert files.best() is None


@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_checkpoints_before_as_they_were(tmp_path, monkeypatch, failing):
    files = Checkpoints(tmp_path, keep=1)
    files.save(1, ARRAYS, {"step": 1})

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    owner, name = {
        "write": (np, "savez"),
        "fsync": (os, "fsync"),
        "replace": (os, "replace"),
    }[failing]
    monkeypatch.setattr(owner, name, full)
    with pytest.raises(UserError, match="No space left on device.*are still there"):
        files.save(2, ARRAYS, {"step": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.npz"]
    assert files.latest()[1] == {"step": 1}


def test_a_really_full_device_is_the_same_error(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    # Every write to the temporary name goes to a device that is always full.
    (tmp_path / "step-000000001.npz.tmp").symlink_to("/dev/full")
    with pytest.raises(UserError, match="No space left on device.*there is no checkpoint before"):
        Checkpoints(tmp_path).save(1, ARRAYS, {})
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_half_written_is_removed(tmp_path):
    files = Checkpoints(tmp_path)
    files.save(1, ARRAYS, {})
    (tmp_path / "step-000000002.npz.tmp").write_bytes(b"half")
    assert files.steps() == [1]
    files.remove_unfinished()
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.npz"]


def test_bytes_that_cannot_be_decompressed_are_damage(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("meta.npy", b"\xff" * 100)
    content = bytearray(path.read_bytes())
    content[8] = zipfile.ZIP_DEFLATED  # the method, at the entry and in the directory
    content[content.find(b"PK\x01\x02") + 10] = zipfile.ZIP_DEFLATED
    path.write_bytes(content)
    with pytest.raises(DamagedCheckpoint):
        checkpoints.read(path)


class Variable:
    """The two things that checkpoints need of a variable."""

    def __init__(self, value):
        self.value = np.asarray(value)

    shape = property(lambda self: self.value.shape)

    def assign(self, value):
        self.value = value

    def __array__(self, dtype=None, copy=None):
        return self.value


def test_variables_are_restored_by_order_and_checked_before_any_is_changed():
    source = [Variable([1.0, 2.0]), Variable(3.0), *[Variable(float(i)) for i in range(12)]]
    arrays = checkpoints.named("weights", source)
    target = [Variable(np.zeros(v.shape)) for v in source]
    checkpoints.assign("weights", target, arrays)
    assert [v.value.tolist() for v in target] == [v.value.tolist() for v in source]

    wrong = [Variable(np.zeros(2)), Variable(np.zeros(2)), *target[2:]]
    with pytest.raises(UserError, match=r"another model.*0001 has shape \(\), \(2,\) is needed"):
        checkpoints.assign("weights", wrong, arrays)
    assert wrong[0].value.tolist() == [0.0, 0.0]
    with pytest.raises(UserError, match="holds 14 arrays of weights, 1 are needed"):
        checkpoints.assign("weights", wrong[:1], arrays)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_with_the_file(value):
    target = [Variable(np.zeros(2)), Variable(np.zeros(2))]
    arrays = checkpoints.named("weights", [Variable([1.0, 2.0]), Variable([1.0, value])])
    with pytest.raises(UserError, match=r"checkpoint a/best.npz holds values that are not finite"):
        checkpoints.assign("weights", target, arrays, "a/best.npz")
    assert target[0].value.tolist() == [0.0, 0.0]
