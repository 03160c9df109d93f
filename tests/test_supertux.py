"""Patches of levels that tools/supertux.py makes, on levels made up here."""

import importlib.util
import itertools
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image

PATH = pathlib.Path(__file__).parents[1] / "tools" / "supertux.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("supertux", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def level(*maps):
    """The text of a level with tile maps."""
    found = ["; a comment (with brackets", '(supertux-level (name (_ "A ) name; of it"))']
    for tiles in maps:
        height, width = tiles.shape
        numbers = " ".join(map(str, tiles.ravel()))
        found.append(f"(sector (tilemap (width {width}) (height {height}) (solid #t)")
        found.append(f"(tiles {numbers})))")
    return "\n".join([*found, ")"])


def make(tool, folder, monkeypatch, levels):
    """What the script makes of levels, {name: maps}."""
    for name, maps in levels.items():
        path = folder / "levels" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(level(*maps))
    arguments = [f"--folder={folder}", f"--output={folder / 'a.npz'}"]
    monkeypatch.setattr(sys, "argv", ["supertux.py", *arguments])
    tool.main()
    with np.load(folder / "a.npz") as file:
        return dict(file)


def names(tool, split, num):
    """Names of levels that are in a split."""
    every = (f"world{i % 3}/{i}.stl" for i in range(10_000))
    return list(itertools.islice((name for name in every if tool.split_of(name) == split), num))


def random_map(seed, shape=(24, 40)):
    return np.random.default_rng(seed).choice([0, 7, 30, 4000], shape)


def test_levels_and_not_patches_are_held_out(tool, tmp_path, monkeypatch):
    held = {split: names(tool, split, 2) for split in ("train", "val", "test")}
    maps = {n: [random_map(i)] for i, n in enumerate(n for part in held.values() for n in part)}
    arrays = make(tool, tmp_path, monkeypatch, maps)
    for split, levels in held.items():
        ids = arrays["ids"][arrays[f"x_{split}"]]
        assert len(ids) == (8 * 2 if split == "train" else 2 * 2)
        whole = np.concatenate([maps[level][0] for level in levels], axis=1)
        windows = np.lib.stride_tricks.sliding_window_view(whole, (16, 16)).reshape(-1, 256)
        assert {x.tobytes() for x in ids.reshape(-1, 256)} <= {x.tobytes() for x in windows}


def test_ids_are_numbered_and_what_is_empty_or_there_already_is_left_out(
    tool, tmp_path, monkeypatch
):
    (first, second), (test,) = names(tool, "train", 2), names(tool, "test", 1)
    full, empty = random_map(0, (16, 16)), np.zeros((16, 16), int)
    copied = random_map(1, (16, 16))
    arrays = make(
        tool, tmp_path, monkeypatch, {first: [full, empty], second: [full, copied], test: [copied]}
    )
    assert arrays["ids"].tolist() == [0, 7, 30, 4000] and arrays["levels"] == 4
    np.testing.assert_array_equal(arrays["ids"][arrays["x_train"]], full[None])
    np.testing.assert_array_equal(arrays["ids"][arrays["x_test"]], copied[None])


def test_a_picture_has_every_tile_in_its_place(tool, tmp_path):
    (tmp_path / "images").mkdir()
    sheet = np.zeros((32, 96, 3), np.uint8)
    sheet[:, 32:64], sheet[:, 64:] = (255, 0, 0), (0, 255, 0)
    Image.fromarray(sheet).save(tmp_path / "images/sheet.png")
    (tmp_path / "images/tiles.strf").write_text(
        '(supertux-tiles (tiles (width 2) (height 1) (ids 5 9) (images "sheet.png"))\n'
        '(tile (id 7) (images (region "sheet.png" 64 0 32 32))))'
    )
    shown = np.asarray(tool.picture(tmp_path, [0, 5, 7, 9]))
    places = [shown[16, 16], shown[16, 48], shown[48, 16], shown[48, 48]]
    assert np.array(places)[1:].tolist() == [[0, 0, 0], [0, 255, 0], [255, 0, 0]]
    assert places[0].tolist() not in np.array(places)[1:].tolist()


def test_without_the_package_the_script_ends_in_a_sentence(tool, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no apt-get
    monkeypatch.setattr(sys, "argv", ["supertux.py", f"--output={tmp_path / 'a.npz'}"])
    with pytest.raises(SystemExit, match="supertux-data cannot be had .* by --folder"):
        tool.main()
