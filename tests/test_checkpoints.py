"""A checkpoint is complete or absent, and damage to it is noticed."""

import errno
import os
import zipfile

import numpy as np
import pytest

from gated_pixelcnn.errors import UserError
from gated_pixelcnn.runs import checkpoints
from gated_pixelcnn.runs.checkpoints import Checkpoints, DamagedCheckpoint

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
    """What checkpoints need of a variable."""

    def __init__(self, path, value):
        self.path = path
        self.value = np.asarray(value)

    shape = property(lambda self: self.value.shape)

    def assign(self, value):
        self.value = value

    def __array__(self, dtype=None, copy=None):
        return self.value


def stored():
    """Arrays of a model of four weights, of which two pairs have the same shape."""
    values = {"a": [1.0, 2.0], "b": [3.0, 4.0], "c": 5.0, "block/d": 6.0}
    source = [Variable(f"model/{path}", value) for path, value in values.items()]
    return checkpoints.values(checkpoints.named("weights", source))


def zeros(*paths, model="model_1", shape=(2,)):
    """Variables of another instance of a model, by the names of a checkpoint."""
    found = [Variable(f"{model}/{path}", np.zeros(shape)) for path in paths]
    return checkpoints.named("weights", found)


def test_variables_are_matched_by_path_whatever_their_order_and_the_name_of_their_model():
    target = zeros("b", "a") | zeros("block/d", "c", shape=())
    checkpoints.assign(target, stored() | {"optimizer/a": np.zeros(3)})
    found = {name: variable.value.tolist() for name, variable in target.items()}
    assert found == {name: value.tolist() for name, value in stored().items()}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (zeros("a", "b", "c") | zeros("block/d", shape=()), r"weights/c has shape \(\), \(2,\) is"),
        (zeros("a", "other", "more"), r"it has no weights/other \(and 1 others\)"),
        (zeros("a", "b"), r"it has weights/block/d \(and 1 others\), which this model has not"),
    ],
)
def test_weights_that_do_not_fit_are_named_and_nothing_is_changed(target, message):
    with pytest.raises(UserError, match=f"another model or version: {message}"):
        checkpoints.assign(target, stored())
    assert not any(variable.value.any() for variable in target.values())


def test_two_variables_of_one_path_are_a_bug():
    with pytest.raises(RuntimeError, match="same path"):
        zeros("a", "b", "a")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_with_the_file(value):
    target, arrays = zeros("a", "b", "c", "block/d"), stored()
    arrays["weights/b"][1] = value
    with pytest.raises(UserError, match=r"checkpoint a/best.npz holds values that are not finite"):
        checkpoints.assign(target, arrays, "a/best.npz")
    assert not any(variable.value.any() for variable in target.values())
