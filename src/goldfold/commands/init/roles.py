"""Roles of the files of a folder in a reading: images, labels, masks, lists and documentation."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from goldfold.commands.init.found import Layout
from goldfold.commands.init.walk import Tree, base, join, parent
from goldfold.commands.init.words import is_masks, is_sample, split_in
from goldfold.images.files import without_suffix

IMAGE, LABELS, MASK, LIST, DOCUMENTATION = "image", "labels", "mask", "list", "documentation"
Roles = dict[str, str]
"""Explained file, relative to the root -> role."""
DOCUMENTS = re.compile(
    r"(readme|licen[cs]e|copying|notice|citation|changelog|authors|about|thumbs\.db|desktop\.ini|dataset_infos?\.json"
    r"|dataset-metadata\.json|requirements\.txt|checksums?|md5sums?|sha256sums?)|.*\.(md|rst|pdf|html?|docx?|bib|cff|rtf|url|py|m|ipynb|sh|md5|sha256)$",
    re.IGNORECASE,
)
OF_MASKS = ("masks", "test_answers")
OF_IMAGES = ("test", "test_images", "unlabeled", "extra_images")
"""Keys of ``data`` whose folders hold only images."""
OF_LISTS = ("names", "groups", "class_names", "train_list", "test_list", "test")
CLASS_FILES = (".txt", ".csv", ".tsv", ".json", ".yaml", ".yml", ".names", ".pbtxt")
CLASS_WORDS = ("class", "label", "categor", "names", "legend", "colou", "color", "wnid", "synset")
SMALL, MOST_CLASSES = 1_000_000, 2000
LINES_PER_CLASS = {"json": 8, "yaml": 8, "yml": 8, "pbtxt": 6}
"""Largest number of lines per class in a list of classes, by suffix; 2 for any other."""
LABEL_FILES = (".xml", ".txt", ".json", ".csv")
"""Suffixes of files of targets, one per image."""


def roles(tree: Tree, layout: Layout) -> Roles:
    """Role of every file that a layout explains."""
    found = dict(documents(tree)) | dict(_samples(tree)) | dict(_class_lists(tree, layout)) | layout.roles
    for key, setting in layout.data.items():
        for name in _paths(tree, setting.value):
            found |= dict(_of_path(tree, layout, key, name))
    images = dict.fromkeys((*layout.train, *layout.test), IMAGE)
    known = {name: IMAGE for name in images if name in tree.known_images}
    if layout.source == "instances":
        found |= dict(_beside(tree, known))
    found |= dict(_other_lists(tree, found))
    return {**found, **known}


def documents(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield documentation and files of tools."""
    for folder, held in tree.folders.items():
        for name in held.others:
            if DOCUMENTS.match(name):
                yield join(folder, name), DOCUMENTATION


def _samples(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yield sample submissions, which list the test images."""
    for name in tree.files(".csv", ".json"):
        if is_sample(base(name)):
            yield name, LIST


def _class_lists(tree: Tree, layout: Layout) -> Iterator[tuple[str, str]]:
    """Yield small files that are named like lists of classes and contain the name of each class."""
    names = {name.rpartition("/")[2] for name in layout.classes}
    if not names or len(names) > MOST_CLASSES or all(map(str.isdigit, names)):
        return
    for file in tree.files(*CLASS_FILES):
        path = tree.root / file
        if any(word in base(file).lower() for word in CLASS_WORDS) and path.stat().st_size <= SMALL:
            text = path.read_text(encoding="utf-8", errors="replace")
            per_class = LINES_PER_CLASS.get(base(file).rpartition(".")[2].lower(), 2)
            if len(text.split("\n")) <= per_class * len(names) + 5 and all(name in text for name in names):
                yield file, LIST


def _other_lists(tree: Tree, found: Roles) -> Iterator[tuple[str, str]]:
    """Yield lists of other splits in the folder of a used one: ``train.txt`` next to ``trainval.txt``."""
    used = [(parent(name), base(name).rpartition(".")[2]) for name, role in found.items() if role in (LIST, LABELS)]
    places = {place for place in used if place[1] == "txt"}
    for name in tree.files(".txt"):
        if (parent(name), "txt") in places and name not in found and split_in(base(name).rpartition(".")[0]):
            yield name, LIST


def _paths(tree: Tree, value: Any) -> Iterator[str]:
    """Yield files and folders of the tree that a config value names, relative to the root."""
    if isinstance(value, list | tuple):
        for part in value:
            yield from _paths(tree, part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _paths(tree, part)
    elif isinstance(value, str):
        root = tree.path("")
        if value == root:
            yield ""
        elif root == "." or value.startswith(f"{root}/"):
            yield value if root == "." else value.removeprefix(f"{root}/")


def _of_path(tree: Tree, layout: Layout, key: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield files that one path of the config explains."""
    if name not in tree.folders:
        if name in tree.known_files:
            yield name, LIST if key in OF_LISTS else LABELS
        return
    if key in OF_MASKS:
        yield from _masks(tree, layout, key, name)
    if key in OF_IMAGES:
        yield from ((image, IMAGE) for image in tree.images(name))
    if layout.source in ("voc", "yolo"):
        yield from _label_files(tree, layout, name)


def _masks(tree: Tree, layout: Layout, key: str, folder: str) -> Iterator[tuple[str, str]]:
    """Yield masks below a folder that belong to an image of the layout."""
    suffix = str(layout.data["mask_suffix"].value) if "mask_suffix" in layout.data else ""
    ids = {base(without_suffix(name)) for name in (layout.test if key == "test_answers" else layout.train)}
    for name in tree.images(folder):
        stem = base(without_suffix(name))
        if stem.endswith(suffix) and stem.removesuffix(suffix) in ids:
            yield name, MASK


def _label_files(tree: Tree, layout: Layout, folder: str) -> Iterator[tuple[str, str]]:
    """Yield label files that are named like an image of the layout."""
    ids = {base(without_suffix(name)) for name in (*layout.train, *layout.test)}
    for inner in tree.below(folder):
        for name in tree.folders[inner].others:
            stem, _, suffix = name.rpartition(".")
            if f".{suffix.lower()}" in LABEL_FILES and stem in ids:
                yield join(inner, name), LABELS


def _beside(tree: Tree, images: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield masks in folders of masks next to the folders of images."""
    for place in {parent(parent(name)) for name in images}:
        for child in tree.folders[place].folders:
            if is_masks(child) and (folder := join(place, child)) in tree.folders:
                yield from ((name, MASK) for name in tree.images(folder))
