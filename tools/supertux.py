"""Makes patches of the tile maps of SuperTux's levels: real codes, for `model.values=categorical`.

    python tools/supertux.py --output=supertux.npz [--tiles=supertux.png]

The levels come from Debian's package supertux-data, which apt downloads and dpkg unpacks into a
temporary folder; with --folder from a folder where it lies (/usr/share/games/supertux2 where it is
installed). They are the work of the SuperTux team, GPL-2+ or CC-BY-SA, see the package's copyright
file: patches, models and samples made of them come under these terms.

Every tile map of a level is cut in 16×16 patches, half of which overlap in training; those without
any tile are left out, and so are copies. Levels, and not patches, are held out for validation and
test; maps of the world are not among them, as their tiles are others. Tile ids become 0…K−1 in
their order, 0 for no tile; the file says which they were (`ids`).
"""

import argparse
import hashlib
import pathlib
import subprocess
import tempfile

import numpy as np
from PIL import Image

SIDE = 16  # of a patch
PIXELS = 32  # of a tile
HELD_OUT = {"val": 1, "test": 1}  # of TENTHS of the levels
TENTHS = 10


def expressions(text):
    """The lists of the Lisp that levels are written in: nested lists of words."""
    found, open_ones = [], []
    for line in text.splitlines():
        for number, quoted in enumerate(line.split('"')):
            if number % 2:
                (open_ones or [found])[-1].append(quoted)
                continue
            quoted, comment, _ = quoted.partition(";")
            for word in quoted.replace("(", " ( ").replace(")", " ) ").split():
                if word == "(":
                    open_ones.append([])
                elif word == ")" and open_ones:
                    done = open_ones.pop()
                    (open_ones or [found])[-1].append(done)
                else:
                    (open_ones or [found])[-1].append(word)
            if comment:
                break
    return found


def named(expression, name):
    """The lists inside of a list, at any depth, that begin with a name."""
    for part in expression:
        if isinstance(part, list):
            if part[:1] == [name]:
                yield part
            yield from named(part, name)


def entries(expression):
    """Name → the rest of the list, of the lists of a list."""
    return {part[0]: part[1:] for part in expression if isinstance(part, list) and part}


def tile_maps(text):
    """The tile maps of a level, integers [height, width] each."""
    for tilemap in named(expressions(text), "tilemap"):
        parts = entries(tilemap)
        shape = int(parts["height"][0]), int(parts["width"][0])
        yield np.array(parts["tiles"], np.int64).reshape(shape)


def patches(tiles, step):
    """All patches that a map holds, every `step` tiles, but for those without a tile."""
    height, width = tiles.shape
    for row in range(0, height - SIDE + 1, step):
        for column in range(0, width - SIDE + 1, step):
            patch = tiles[row : row + SIDE, column : column + SIDE]
            if patch.any():
                yield patch


def split_of(level):
    """The split of a level: a function of its name only."""
    number = hashlib.sha256(level.encode()).digest()[0] % TENTHS
    for split, tenths in HELD_OUT.items():
        if number < tenths:
            return split
        number -= tenths
    return "train"


def read(folder):
    """Split → patches [N, SIDE, SIDE] of tile ids; and number of levels and maps."""
    found, levels, maps = {"train": [], "val": [], "test": []}, 0, 0
    for path in sorted(folder.rglob("*.stl")):
        levels += 1
        level = path.relative_to(folder).as_posix()
        split = split_of(level)
        for tiles in tile_maps(path.read_text(encoding="utf-8", errors="replace")):
            maps += 1
            found[split] += patches(tiles, SIDE // 2 if split == "train" else SIDE)
    seen, result = set(), {}
    for split in ("test", "val", "train"):  # a copy stays where it is held out
        fresh = [p for p in found[split] if not (p.tobytes() in seen or seen.add(p.tobytes()))]
        result[split] = np.array(fresh, np.int64).reshape(-1, SIDE, SIDE)
    return result, levels, maps


def picture(folder, ids):
    """A picture of every tile, row by row, for `sample.py --tiles`."""
    sides = {}
    told = expressions((folder / "images/tiles.strf").read_text(errors="replace"))
    for block in map(entries, named(told, "tiles")):
        if "ids" in block and (image := block.get("image", block.get("images"))):
            width = int(block["width"][0])
            for place, tile in enumerate(map(int, block["ids"])):
                sides.setdefault(tile, (image[0], divmod(place, width)))
    for block in map(entries, named(told, "tile")):
        if "id" in block and (image := block.get("images", block.get("editor-images"))):
            sides[int(block["id"][0])] = image[0], (0, 0)
    columns = int(np.ceil(np.sqrt(len(ids))))
    rows = -(-len(ids) // columns)
    sheet = Image.new("RGB", (columns * PIXELS, rows * PIXELS), (150, 200, 255))
    for number, tile in enumerate(ids):
        image, (row, column) = sides.get(tile, (None, (0, 0)))
        if isinstance(image, list) and image[0] == "region":  # (region file x y width height)
            image, column, row = image[1], int(image[2]) // PIXELS, int(image[3]) // PIXELS
        if not isinstance(image, str) or not (path := folder / "images" / image).is_file():
            continue
        with Image.open(path) as whole:
            box = [PIXELS * x for x in (column, row, column + 1, row + 1)]
            part = whole.convert("RGBA").crop(box)
        place = PIXELS * (number % columns), PIXELS * (number // columns)
        sheet.paste(part, place, part)
    return sheet


def unpacked(folder):
    """Downloads and unpacks the package: the folder of its data."""
    try:
        subprocess.run(["apt-get", "download", "-q", "supertux-data"], cwd=folder, check=True)
        package = next(pathlib.Path(folder).glob("supertux-data_*.deb"))
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(
            f"error: the package supertux-data cannot be had ({error}): unpack it elsewhere, and "
            "give its usr/share/games/supertux2 by --folder"
        ) from error
    return pathlib.Path(folder) / "usr/share/games/supertux2"


def main():
    """Runs the script; see the module."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", default="supertux.npz", type=pathlib.Path)
    parser.add_argument("--tiles", type=pathlib.Path, help="PNG file for the pictures of the tiles")
    parser.add_argument("--folder", type=pathlib.Path, help="where the package lies unpacked")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or unpacked(temporary)
        found, levels, maps = read(folder / "levels")
        if not len(found["train"]):
            raise SystemExit(f"error: {folder}/levels has no levels with maps of {SIDE}x{SIDE}")
        ids = np.unique(np.concatenate([[0], *(part.ravel() for part in found.values())]))
        arrays = {f"x_{k}": np.searchsorted(ids, v).astype(np.uint16) for k, v in found.items()}
        np.savez_compressed(arguments.output, **arrays, ids=ids, levels=len(ids))
        if arguments.tiles:
            picture(folder, ids).save(arguments.tiles)
    counts = ", ".join(f"{len(part)} {split}" for split, part in found.items())
    print(f"{levels} levels, {maps} tile maps, {len(ids)} tile ids; patches: {counts}")
    print(f"{arguments.output}: set data.levels={len(ids)}")


if __name__ == "__main__":
    main()
