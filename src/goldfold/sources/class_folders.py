"""Classes named by the folders of images, and folders of a fixed split above them."""

import itertools
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

from goldfold.base.errors import DataError
from goldfold.base.words import count
from goldfold.images.files import is_hidden

TRAIN_NAMES = frozenset({"train", "training"})
VALIDATION_NAMES = frozenset({"val", "valid", "validation"})
TEST_NAMES = frozenset({"test", "testing"})
PART_NAMES = TRAIN_NAMES | VALIDATION_NAMES | TEST_NAMES
"""Names, in lower case, of folders that hold a split of the data."""
Level = Literal["leaf"] | int
Folders = tuple[str, ...]
"""Names of the folders above an image, outermost first."""


def parts_to_pool(names: Collection[str], root: str | Path) -> list[str] | None:
    """Names of the folders below ``root`` that belong to a fixed split, without its test set; None without a split.

    Raises:
        DataError: there are other folders next to them, or nothing to train on.
    """
    kinds = {name: _part(name) for name in names}
    present = set(kinds.values())
    is_train_alone = "train" in present and present <= {"train", "test"}
    if not is_train_alone and not {"train", "val"} <= present:
        return None
    if odd := sorted(name for name, kind in kinds.items() if not kind):
        raise DataError(
            f"data.train: {root} holds train and validation folders next to {odd[0]!r}, so it is unclear what to "
            f"train on. Move {odd[0]!r} away, or point data.train at one of them."
        )
    return sorted(name for name, kind in kinds.items() if kind != "test")


def _part(name: str) -> str:
    """Split that a folder's name stands for, ``train``, ``val`` or ``test``; empty for other names."""
    kinds = {"train": TRAIN_NAMES, "val": VALIDATION_NAMES, "test": TEST_NAMES}
    return next((kind for kind, known in kinds.items() if name.casefold() in known), "")


def is_part(name: str) -> bool:
    """Return whether a folder is named like a part of a fixed split."""
    return name.casefold() in PART_NAMES


def is_test(name: str) -> bool:
    """Return whether a folder is named like a test set."""
    return name.casefold() in TEST_NAMES


def class_of(folders: Folders, level: Level, path: str, key: str) -> str:
    """The class of an image: its folder, or the first ``level`` folders, as a path with ``/``.

    A negative level selects a single folder counted from the innermost, -1.

    Raises:
        DataError: the image has too few folders above it.
    """
    if not folders:
        raise DataError(
            f"{key}: {path} is outside the class folders. Move it into a folder named after its class, or use source: csv."
        )
    if level != "leaf" and len(folders) < abs(level):
        raise DataError(
            f"{key}: {path} is {count(len(folders), 'folder')} deep, and data.class_level is {level}. Move it into the "
            f"folder of its class, or set data.class_level: {len(folders)} or leaf."
        )
    if level != "leaf" and level < 0:
        return folders[level]
    return "/".join(folders if level == "leaf" else folders[:level])


def group_of(folders: Folders, level: int, path: str, key: str) -> str:
    """The group of an image: its first ``level`` folders.

    Raises:
        DataError: the image has too few folders above it.
    """
    if len(folders) < level:
        raise DataError(
            f"{key}: {path} is {count(len(folders), 'folder')} deep, and data.group_level is {level}. Move it, or set "
            f"data.group_level: {len(folders)}."
        )
    return "/".join(folders[:level])


def leaves(classes: Collection[str], root: str, key: str) -> dict[str, str]:
    """Class of each innermost folder: itself, or its parent if that holds images and no other folder.

    If the classes are not the outermost folders, their number is printed.

    Raises:
        DataError: a folder holds images and several class folders, or all folders within one are parts of a fixed split.
    """
    above = {name: next((own for own in _parents(name)[1:] if own in classes), name) for name in sorted(classes)}
    for name, parent in above.items():
        _refuse_mixed(parent, [own for own, of in above.items() if of == parent != own], root, key)
        if name != parent:
            print(f"{key}: {root}/{parent} holds images, and those of {name!r}: one class, {parent!r}", flush=True)
    inner: dict[str, set[str]] = defaultdict(set)
    for name in above.values():
        for parent, child in itertools.pairwise([*_parents(name), name]):
            inner[parent].add(child.rpartition("/")[2])
    for parent, names in inner.items():
        _refuse_parts(parent, names, root, key)
    if len(inner) > 1:
        deepest = max(name.count("/") for name in above.values()) + 1
        print(
            f"{key}: the innermost folders are the classes: {len(set(above.values()))}, up to {deepest} deep; with "
            f"data.class_level: 1 there are {len(inner[''])}",
            flush=True,
        )
    return above


def _refuse_mixed(parent: str, inner: Sequence[str], root: str, key: str) -> None:
    """Refuse ``Fruit/1.jpg`` next to ``Fruit/Apple`` and ``Fruit/Kiwi``."""
    if len(inner) > 1:
        raise DataError(
            f"{key}: {root}/{parent} holds images next to folders of images, first {inner[0]!r}, so the classes are unclear. Set "
            f"data.class_level: {parent.count('/') + 1} to make all of {parent!r} one class, or move its own images into a "
            f"folder."
        )


def _refuse_parts(parent: str, names: Collection[str], root: str, key: str) -> None:
    """Refuse ``daisy/train``, ``daisy/val``: a split within each class, or one without training images."""
    if all(map(is_part, names)):
        way = f"Set data.class_level: {parent.count('/') + 1} to pool them" if parent else "Name the folder to train on"
        raise DataError(
            f"{key}: all folders in {Path(root) / parent} ({', '.join(sorted(names))}) are named like parts of a split, not like "
            f"classes. {way}, or rename them."
        )


def _parents(name: str) -> list[str]:
    """Folders above, outermost (``""``) first."""
    parts = name.split("/")
    return ["/".join(parts[:n]) for n in range(len(parts))]


def refuse_empty(root: Path, names: Sequence[str], level: Level, key: str) -> None:
    """Refuse class folders without an image; ``names`` are the images below ``root``, relative to it.

    Folders within a folder that holds images are not classes.
    """
    direct = {name.rpartition("/")[0] for name in names}
    filled = direct | {parent for name in direct for parent in _parents(name)}
    waiting = [""]
    while waiting:
        name = waiting.pop()
        depth = name.count("/") + 1 if name else 0
        if name and name not in filled:
            raise DataError(
                f"{key}: class folder {root / name} holds no image in a format that goldfold reads. Add images, convert them, or "
                f"remove the folder."
            )
        if not (name and name in direct) and (level == "leaf" or level < 0 or depth < level):
            waiting += [f"{name}/{child}".lstrip("/") for child in folders_in(root / name)]


def folders_in(root: Path) -> list[str]:
    """Names of the folders in ``root``, sorted, without hidden ones and those of tools."""
    return sorted(path.name for path in root.iterdir() if path.is_dir() and not is_hidden(path.name))
