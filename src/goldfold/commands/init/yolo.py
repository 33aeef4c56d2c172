"""Detect boxes in YOLO's text files, one per image."""

import os
from collections.abc import Iterator
from pathlib import Path

from goldfold.base.errors import DataError
from goldfold.base.regular import read_text
from goldfold.base.words import count, noun
from goldfold.commands.init.box_looks import BoxesOf, describe, tally
from goldfold.commands.init.found import Layout, Setting, spread
from goldfold.commands.init.tables import Table
from goldfold.commands.init.walk import Tree, base, common, join
from goldfold.images.files import SUFFIXES, files_below
from goldfold.sources.yolo import NO_LABELS, read
from goldfold.sources.yolo_names import read_names, read_yaml
from goldfold.sources.yolo_rows import MOST_BYTES
from goldfold.sources.yolo_splits import test_images
from goldfold.targets.boxes import from_text

LIKELIHOOD = 0.9
N_TRIED = 50
SIDE_PX = 1000
"""Side of the nominal image that shares are converted to."""


def sniff(tree: Tree, tables: list[Table]) -> Layout | None:
    """Detect text files of five numbers that are named like images, and a list of class names."""
    notes = [name for name in tree.files(".txt") if base(name) != NO_LABELS and base(name)[:-4] in tree.stems]
    tried = spread(notes, N_TRIED)
    if not notes or sum(_is_label(tree.root / name) for name in tried) <= len(tried) / 2:
        return None
    root = common([*notes, *(image for name in tried for image in tree.stems[base(name)[:-4]])])
    layout = Layout(
        source="yolo", task="detection", title="boxes in YOLO's text files", likelihood=LIKELIHOOD, folder=root,
        data={"train": Setting(tree.path(root), f"images and {count(len(notes), 'label file')}")},
        train=[], splits={"train": 0},
    )  # fmt: skip
    names = next(_names(tree), None)
    if names is None:
        layout.data["names"] = Setting(tree.path("data.yaml"), "to be written: a name per class number")
        layout.doubt(f"no data.yaml and no {NO_LABELS} with class names. Write one.", stops=True)
        layout.train = [image for name in notes for image in tree.stems[base(name)[:-4]]]
        return layout
    layout.data["names"] = Setting(tree.path(names), "names of the class numbers")
    _with_test(tree, layout, root, names)
    _read(tree, layout, notes)
    return layout


def _is_label(path: Path) -> bool:
    """True if a file is empty, or begins with a class number and four more numbers."""
    try:
        words = read_text(path, MOST_BYTES).split("\n", 1)[0].split()
        numbers = [float(word) for word in words]
    except (OSError, ValueError):
        return False
    return not numbers or (len(numbers) >= 5 and numbers[0].is_integer() and min(numbers) >= 0)


def _names(tree: Tree) -> Iterator[str]:
    """Yield files that name classes, the likeliest first."""
    for name in [*tree.files("data.yaml"), *tree.files(".yaml", ".yml"), *tree.files(NO_LABELS, ".names")]:
        try:
            read_names(str(tree.root / name))
        except DataError:
            continue
        yield name


def _with_test(tree: Tree, layout: Layout, root: str, names: str) -> None:
    """Add test images next to the training images, with boxes if all have them; or those that the YAML names."""
    for images, labels in (("images/test", "labels/test"), ("test/images", "test/labels"), ("test", "test")):
        folder, notes = join(root, images), join(root, labels)
        if not tree.n_images.get(folder):
            continue
        layout.data["test"] = Setting(tree.path(folder), "images to predict")
        layout.test = tree.images(folder)
        layout.splits["test"] = len(layout.test)
        there = set(tree.folders[notes].others) if notes in tree.folders else set()
        if all(f"{base(name).rpartition('.')[0]}.txt" in there for name in layout.test):
            layout.data["test_answers"] = Setting(
                tree.path(notes), "the test images' boxes, only for a score in the report"
            )
        return
    try:
        found = (
            test_images(tree.path(names), tree.path(root)) if (read_yaml(tree.path(names)) or {}).get("test") else []
        )
    except DataError:
        return
    listed = [f"{found}/{name}" for name in files_below(Path(found), SUFFIXES)] if isinstance(found, str) else found
    if listed:
        layout.data["test"] = Setting(found if isinstance(found, str) else tree.path(names), "images of its key test")
        layout.test = [os.path.relpath(path, tree.root) for path in listed]
        layout.splits["test"] = len(listed)


def _read(tree: Tree, layout: Layout, notes: list[str]) -> None:
    """Read images and boxes by the source, and add its notes and errors as doubts."""
    refused: list[DataError] = []
    try:
        tables = read(**{key: setting.value for key, setting in layout.data.items()}, refuse=refused.append)
    except DataError as error:
        refused, tables = [error], {}
    table = tables.get("train")
    for note in tables["notes"]["note"] if "notes" in tables else ():
        layout.doubt(f"{note}.")
    if refused:
        many = f"{count(len(refused), 'line')} of the label files cannot be read, the first: "
        layout.doubt(f"{many if len(refused) > 1 else ''}{refused[0]}", stops=True)
    if table is None:
        images = dict.fromkeys(image for name in notes for image in tree.stems[base(name)[:-4]])
        tests = set(layout.test)
        layout.train = [image for image in images if image not in tests]
        layout.splits["train"] = len(layout.train)
        return
    root = tree.root.as_posix()
    layout.train = [path if root == "." else path.removeprefix(f"{root}/") for path in table["path"]]
    layout.train = [path for path in layout.train if not path.endswith(".*")]
    layout.splits["train"] = len(layout.train)
    known = table[table["shares"].notna()]
    describe(layout, tally(_boxes(id, text) for id, text in zip(known["id"], known["shares"], strict=True)))
    if n := len(table) - len(known):
        layout.doubt(
            f"{count(n, 'image')} without a label file: {noun(n, 'it is', 'they are')} left out; an empty file means "
            f"no objects."
        )
    if n := len(table) - len(layout.train):
        layout.data["on_missing_image"] = Setting("quarantine", f"{count(n, 'label file')} without an image")
        layout.doubt(f"{count(n, 'label file')} without an image: {noun(n, 'it is', 'they are')} left out.")


def _boxes(id: str, text: str) -> BoxesOf:
    labels, corners = from_text(text)
    return BoxesOf(id, list(labels), (corners * SIDE_PX).tolist(), (SIDE_PX, SIDE_PX))
