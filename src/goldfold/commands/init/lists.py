"""Use text files that name the images of a split, one per line: ``train.txt``, ``val.txt``, ``test.txt``."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from goldfold.base.words import count, noun
from goldfold.commands.init.found import Layout, Setting, spread
from goldfold.commands.init.roles import LIST
from goldfold.commands.init.tables import without_ending
from goldfold.commands.init.walk import Tree, join, parent
from goldfold.commands.init.words import split_in
from goldfold.images.files import without_suffix

ORDER = ("train", "val", "test")
N_TRIED = 200
ENOUGH = 0.5
LARGEST = 100_000_000
"""Largest list that is read, in bytes."""


@dataclass(frozen=True)
class NameList:
    """A list of images."""

    name: str
    split: str
    images: tuple[str, ...]
    """Empty if lines name images without their folders."""


def applied(tree: Tree, layout: Layout, root: str, label_of: Callable[[str], str]) -> Layout:
    """Apply lists of splits to a layout of class folders.

    If splits have folders of their own, the lists add nothing and are only marked as explained.

    Args:
        root: the parent of the class folders.
        label_of: image -> class.
    """
    found = list(name_lists(tree, root))
    layout.roles |= {entry.name: LIST for entry in found}
    if "test" in layout.splits or len(layout.data["train"].why.split("pooled")) > 1:
        return layout
    train = [entry for entry in found if entry.split in ("train", "val") and entry.images]
    test = [entry for entry in found if entry.split == "test" and entry.images]
    named = {image for entry in train for image in entry.images}
    if not train or not named < set(layout.train):
        return layout
    _use(tree, layout, train, test)
    layout.train = sorted(named)
    layout.splits["train"], layout.classes = len(named), dict(Counter(map(label_of, layout.train)))
    return layout


def _use(tree: Tree, layout: Layout, train: list[NameList], test: list[NameList]) -> None:
    """Restrict training and test images to those in the lists."""
    named = {image for entry in train for image in entry.images}
    rest = set(layout.train) - named
    paths = [tree.path(entry.name) for entry in train]
    layout.data["train_list"] = Setting(paths if len(paths) > 1 else paths[0], f"{count(len(named), 'image')}")
    if test:
        layout.data["test_list"] = Setting(tree.path(test[0].name), f"{count(len(test[0].images), 'image')} to predict")
        layout.test, layout.splits["test"] = sorted(test[0].images), len(test[0].images)
        rest -= set(test[0].images)
    if rest:
        are = noun(len(rest), "is", "are")
        layout.doubt(
            f"{count(len(rest), 'image')} in no list {are} left out; `unlabeled: {layout.data['train'].value}` below data: "
            f"has them pseudo-labelled."
        )


def name_lists(tree: Tree, root: str) -> Iterator[NameList]:
    """Yield lists that name images relative to ``root``, to the list or to the parent of ``root``; training lists first."""
    found = []
    called = [name for name in tree.files(".txt") if split_in(without_ending(name)) in ORDER]
    stems = {without_suffix(image): image for image in tree.known_images} if called else {}
    for name in called:
        split = split_in(without_ending(name))
        if (tree.root / name).stat().st_size > LARGEST:
            continue
        lines = (tree.root / name).read_text(encoding="utf-8-sig", errors="replace").splitlines()
        images = _images(
            tree, [line.strip() for line in lines if line.strip()], stems, (root, parent(name), parent(root))
        )
        if images or _name_bare(tree, lines):
            found.append(NameList(name, split, tuple(images)))
    yield from sorted(found, key=lambda entry: (ORDER.index(entry.split), entry.name))


def _name_bare(tree: Tree, lines: list[str]) -> bool:
    """True if most lines begin with the name of an image, without its folder."""
    tried = spread([line for line in lines if line.strip()], N_TRIED)
    named = sum(without_suffix(re.split(r"[,;\s]", line.strip())[0].removeprefix("./")) in tree.stems for line in tried)
    return bool(tried) and named > ENOUGH * len(tried)


def _images(tree: Tree, lines: list[str], stems: dict[str, str], folders: tuple[str, ...]) -> list[str]:
    """Images that lines name, relative to the first folder that fits most lines."""
    for folder in dict.fromkeys(folders):
        tried = spread(lines, N_TRIED)
        if sum(_image(tree, stems, folder, line) is not None for line in tried) > ENOUGH * len(tried):
            return [image for line in lines if (image := _image(tree, stems, folder, line)) is not None]
    return []


def _image(tree: Tree, stems: dict[str, str], folder: str, line: str) -> str | None:
    """Image named by the whole line, or by its first field."""
    for text in (line, re.split(r"[,;\t]", line)[0].strip(), line.split()[0]):
        name = join(folder, text.replace("\\", "/").removeprefix("./"))
        if name in tree.known_images:
            return name
        if name in stems:
            return stems[name]
    return None
