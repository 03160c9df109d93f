import pytest

from gated_pixelcnn import files
from gated_pixelcnn.errors import UserError


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
