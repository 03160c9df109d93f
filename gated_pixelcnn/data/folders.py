"""Folders of images: their files, and the splits or classes that the sub-folders stand for.

The one place that knows what is passed over, how links are followed, in which order files are
taken, and which names are those of splits.
"""

import dataclasses
import errno
import os
import pathlib
import re
import stat
from collections.abc import Iterable

from gated_pixelcnn.data.image_reading import ENDINGS, ends_like_an_image
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.names import matching, natural

NAMES_OF_SPLITS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
SPLIT_OF = {name: split for split, names in NAMES_OF_SPLITS.items() for name in names}
WORDS = re.compile("[A-Z]?[a-z]+|[A-Z]+")
# What folders like those of splits are called, too: trainset, xtest, valimgs, trn.
LIKE_SPLITS = SPLIT_OF | {"trn": "train", "tst": "test"}
_NAMES = "|".join(sorted(LIKE_SPLITS, key=len, reverse=True))
_OTHERS = "sets?|data|images?|imgs?|pics?|photos?|pictures?|files?|folder|dir|split|part"
MADE_OF_A_SPLIT = re.compile(f"(?:x|{_OTHERS})?({_NAMES})(?:{_OTHERS})?")
# What systems and programs put beside images, copies of them among it.
NOT_DATA = {
    *("@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"),
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "__pycache__"),
}


@dataclasses.dataclass(frozen=True)
class Tree:
    """Image files of a folder.

    Attributes:
      root: The folder.
      files: The image files in it and in its sub-folders, as paths from it, in natural order.
      left_out: Path from the folder → why it is not among the files; of a folder that is passed
        over as a whole its own path.
    """

    root: pathlib.Path
    files: list[pathlib.PurePath]
    left_out: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Part:
    """The image files of a split.

    Attributes:
      files: Paths from the folder.
      classes: The name of the class of each, or None where there are no classes.
    """

    files: list[pathlib.PurePath]
    classes: list[str] | None


@dataclasses.dataclass(frozen=True)
class Arrangement:
    """Splits and classes of a folder.

    Attributes:
      layout: "splits", "classes" or "flat".
      parts: Those of "train" and, if there are any, of "validation" and "test".
      left_out: As of the Tree, and what the layout leaves out.
    """

    layout: str
    parts: dict[str, Part]
    left_out: dict[str, str]


def find(root) -> Tree:
    """Lists the image files of a folder and of all its sub-folders, through links.

    Raises:
      UserError: If it is not a folder, cannot be listed, has no images, or a link in it leads
        nowhere or back.
    """
    root = pathlib.Path(root)
    if not root.is_dir():
        raise UserError(f"there is no directory {root}")
    try:
        files, left_out = _visit(root, pathlib.PurePath(), {_identity(root.stat())})
    except PermissionError as error:
        raise UserError(f"{error.filename} cannot be listed: permission denied") from error
    if not files:
        raise UserError(
            f"{root} has no images; files that end in {' '.join(ENDINGS)} are looked for, there "
            f"and in its sub-folders{f' (left out: {shown(left_out)})' if left_out else ''}"
        )
    return Tree(root, files, left_out)


def _visit(folder, here, above):
    """The files in a folder, and what is left out; `above`: the folders that it is in."""
    files, left_out, empty = [], {}, {}
    for entry in sorted(os.scandir(folder), key=lambda entry: natural(entry.name)):
        path = here / entry.name
        if why := _passed_over(entry.name):
            left_out[str(path)] = why
            continue
        found = _followed(entry)
        if stat.S_ISDIR(found.st_mode):
            if (identity := _identity(found)) in above:
                raise UserError(f"{entry.path} is a link back to a folder that it is in: remove it")
            inside, others = _visit(entry.path, path, above | {identity})
            files += inside
            left_out |= others
            if not inside:
                empty[str(path)] = "no images in it"
        elif not ends_like_an_image(entry.name):
            left_out[str(path)] = "not the ending of an image"
        elif not stat.S_ISREG(found.st_mode):
            left_out[str(path)] = "not a file"
        else:
            files.append(path)
    return files, left_out | (empty if files or not here.parts else {})


def _passed_over(name):
    if name.startswith("."):
        return "hidden"
    return "not data, but of a system" if name.casefold() in NOT_DATA else ""


def _followed(entry):
    try:
        return entry.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UserError(
                f"{entry.path} is a link that leads back to itself: remove it"
            ) from error
        if entry.is_symlink() and not isinstance(error, PermissionError):
            raise UserError(
                f"{entry.path} is a link to {os.readlink(entry.path)}, which is not there: repair "
                "or remove it"
            ) from error
        raise UserError(f"{entry.path} cannot be read ({error.strerror})") from error


def _identity(found):
    return found.st_dev, found.st_ino


def shown(left_out: dict[str, str], named: int = 3) -> str:
    """Says in a few words what was left out of a folder: how many for each reason, and some."""
    groups = {}
    for path, why in left_out.items():
        groups.setdefault(why, []).append(path)
    return "; ".join(
        f"{why}: {', '.join(paths[:named])}"
        + (f" and {len(paths) - named} more" if len(paths) > named else "")
        for why, paths in groups.items()
    )


def arrange(tree: Tree, layout: str = "auto", known: Iterable[str] | None = None) -> Arrangement:
    """Tells splits and classes by the names of the sub-folders.

    Args:
      tree: The files.
      layout: "splits", "classes" or "flat" to decide by hand; "auto".
      known: Names of classes that are known already, if any are.

    Raises:
      UserError: If the sub-folders fit no reading, or not that of `layout`.
    """
    known = list(known or ())
    tops = _tops(tree.files)
    loose = [file for file in tree.files if len(file.parts) == 1]
    by_hand = layout != "auto"
    if not by_hand:
        layout = _guessed(tree.root, tops, loose, known)
    if layout == "flat":
        return Arrangement(layout, {"train": Part(tree.files, None)}, tree.left_out)
    if layout == "classes":
        part = _part(tree.root, tree.files, (), known, by_hand, one_is_a_class=by_hand)
        return Arrangement(
            layout if part.classes is not None else "flat", {"train": part}, tree.left_out
        )
    return _splits(tree, tops, loose, known, by_hand)


def _guessed(root, tops, loose, known):
    if known and tops and all(matching(name, known) for name in tops):
        return "classes"
    splits = [name for name in tops if name.casefold() in SPLIT_OF]
    others = [name for name in tops if name not in splits]
    remedy = "set data.layout=splits, classes or flat, or rename them"
    if not splits:
        alike = _named_like_splits(others)
        if alike:
            raise UserError(
                f"the sub-folders {_list(alike)} of {root} are named like splits, but not by a "
                f"known name ({', '.join(SPLIT_OF)}): rename them, or set data.layout=classes if "
                "they are classes"
            )
        return "classes"
    if others or loose:
        beside = f"other sub-folders ({_list(others)})" if others else f"{len(loose)} images"
        raise UserError(
            f"{root} has sub-folders named like splits ({_list(splits)}) beside {beside}: {remedy}"
        )
    if "train" not in {SPLIT_OF[name.casefold()] for name in splits}:
        raise UserError(
            f"{root} has the sub-folders {_list(splits)}, but none of training images, "
            f"{' or '.join(NAMES_OF_SPLITS['train'])}: {remedy}"
        )
    return "splits"


def _named_like_splits(names):
    """Those of the folders of one folder that are named like splits, if like several."""
    alike = {name: kinds for name in names if (kinds := _splits_named_in(name))}
    return list(alike) if len(set().union(*alike.values())) > 1 else []


def _splits_named_in(name):
    """The splits that words of a name stand for: of train2017, mnist_test, TestImages, trainset."""
    words = map(str.lower, WORDS.findall(name))
    made = map(MADE_OF_A_SPLIT.fullmatch, words)
    return {LIKE_SPLITS[word[1]] for word in made if word}


def _splits(tree, tops, loose, known, by_hand):
    folders, left_out = {}, dict(tree.left_out)
    for name in tops:
        split = SPLIT_OF.get(name.casefold())
        if split in folders:
            raise UserError(
                f"{tree.root} has two folders of {split} images, {folders[split]} and {name}: keep "
                "one of them"
            )
        if split is None:
            left_out[name] = "not a split"
        else:
            folders[split] = name
    left_out |= {str(file): "not in a split" for file in loose}
    if "train" not in folders:
        raise UserError(
            f"data.layout=splits needs a sub-folder {' or '.join(NAMES_OF_SPLITS['train'])} with "
            f"images in {tree.root}, which has {_list(tops) if tops else 'no sub-folders'}"
        )
    parts = {}
    for split in (split for split in NAMES_OF_SPLITS if split in folders):
        name = folders[split]
        files = [file for file in tree.files if file.parts[0] == name and len(file.parts) > 1]
        parts[split] = _part(tree.root / name, files, (name,), known, by_hand)
        if split == "train":
            known = [*known, *dict.fromkeys(parts[split].classes or ())]
    return Arrangement("splits", parts, left_out)


def _part(folder, files, above, known, by_hand, one_is_a_class=False):
    """The files of a split, `above` the parts of its path from the root."""
    depth = len(above)
    tops = _tops(files, depth)
    loose = [file for file in files if len(file.parts) == depth + 1]
    if loose and tops:
        raise UserError(
            f"{folder} has {len(loose)} images beside sub-folders of images ({_list(tops)}): put "
            "every image into a class sub-folder or none, or set data.layout=flat"
        )
    if one_is_a_class and not tops:
        raise UserError(f"data.layout=classes needs sub-folders, but {folder} has images only")
    if not by_hand:
        _check_depths(folder, files, tops, depth)
    # Beside a split with classes, a single folder is a class, known or not.
    one_is_a_class |= bool(tops and known) if depth else bool(tops and matching(tops[0], known))
    if len(tops) > 1 or one_is_a_class:
        return Part(files, [file.parts[depth] for file in files])
    return Part(files, None)


def _check_depths(folder, files, tops, depth):
    """Raises a UserError for folders named like splits where classes or parts of them should be."""
    siblings = {}  # the folders below the first ones, by the folder that they are in
    for file in files:
        for place in range(depth + 1, len(file.parts) - 1):
            siblings.setdefault(file.parts[:place], {})[file.parts[place]] = None
    deep = sorted(set().union(*siblings.values()))
    wrong = [name for name in deep if name.casefold() in SPLIT_OF]
    for names in () if wrong else siblings.values():
        wrong += _named_like_splits(names)
    if not wrong and depth:
        known = len(tops) > 1 and all(name.casefold() in SPLIT_OF for name in tops)
        wrong = tops if known else _named_like_splits(tops)
    if wrong:
        raise UserError(
            f"{folder} has sub-folders named like splits ({_list(wrong)}) inside of others, so "
            "test images might be trained on: give the folder that holds the splits, or set "
            "data.layout=classes, splits or flat"
        )


def _tops(files, depth=0):
    return list(dict.fromkeys(file.parts[depth] for file in files if len(file.parts) > depth + 1))


def _list(names, shown=5):
    names = list(names)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}"
