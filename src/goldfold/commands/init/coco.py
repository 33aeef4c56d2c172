"""Detect boxes in COCO JSON files."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from goldfold.base.errors import DataError
from goldfold.base.regular import opened
from goldfold.base.words import count, noun
from goldfold.commands.init.box_looks import BoxesOf, describe, tally
from goldfold.commands.init.found import Layout, Setting, some, spread
from goldfold.commands.init.tables import Table
from goldfold.commands.init.walk import Tree, base, common, parent
from goldfold.commands.init.words import split_in, split_of, split_of_path
from goldfold.sources.coco_files import gathers, size_of
from goldfold.sources.coco_ids import Ambiguous, Ids, as_text
from goldfold.sources.located import located
from goldfold.sources.reading import read_json

LIKELIHOOD = 0.9
HEAD = 1_000_000
"""Leading bytes of a file that must contain one of the keys."""
N_TRIED = 500
IDS = {"images": ("id",), "annotations": ("image_id", "category_id"), "categories": ("id",)}
"""List in a COCO file -> keys of the ids in its entries."""


@dataclass
class File:
    """A COCO file."""

    name: str
    content: dict[str, Any]
    folder: str
    """Folder that its file names are relative to, itself relative to the root."""
    there: list[str]
    """Existing images, relative to the root."""
    missing: list[str]

    @property
    def split(self) -> str:
        """Split indicated by its name, or by its folder's."""
        return split_in(base(self.name)) or split_of_path(parent(self.name)) or split_of_path(self.folder)

    @property
    def has_boxes(self) -> bool:
        """True if it has annotations and categories."""
        return bool(self.content.get("annotations")) and bool(self.content.get("categories"))

    @property
    def classes(self) -> set[str]:
        """Names of the categories."""
        return {str(entry.get("name")) for entry in self.content["categories"]}


def sniff(tree: Tree, tables: list[Table]) -> Layout | None:
    """Detect JSON files with images, annotations and categories."""
    files = [file for name in tree.files(".json") if (file := _read(tree, name)) is not None]
    training = [file for file in files if file.has_boxes and file.split != "test"]
    if not training:
        return None
    train = max(training, key=lambda file: (file.split == "train", file.split != "val", len(file.there)))
    if not any(_is_box(entry.get("bbox")) for entry in train.content["annotations"]):
        return None
    joined = _joined(train, training)
    names, folders = [tree.path(file.name) for file in joined], [tree.path(file.folder) for file in joined]
    is_one_folder = len(set(folders)) == 1
    n_images = sum(len(file.content["images"]) for file in joined)
    layout = Layout(
        source="coco", task="detection", title=f"boxes in COCO's {base(train.name)}", likelihood=LIKELIHOOD,
        data={"train": Setting(names if len(joined) > 1 else names[0], "images, annotations and categories"),
              "images": Setting(folders[0] if is_one_folder else folders, "file names are relative to this")},
        train=sorted(name for file in joined for name in file.there), splits={"train": n_images},
        folder=common([f"{file.folder}/x" if file.folder else "x" for file in joined]),
    )  # fmt: skip
    for file in joined:
        _doubt_references(file.content, layout)
    describe(layout, tally(entry for file in joined for entry in _boxes(file.content)))
    for file in joined:
        _doubt_content(tree, file, layout)
    for other in training:
        if not any(other is file for file in joined):
            layout.doubt(
                f"{tree.path(other.name)} ({count(len(other.content['images']), 'image')}) is not used: its images overlap "
                f"with those of {base(train.name)}, or its classes differ. data.train may be a list of files."
            )
    return _with_pools(tree, files, joined, layout)


def _joined(train: File, training: list[File]) -> list[File]:
    """The training file, and files of other images with boxes of its classes: folds replace a fixed split."""
    joined, seen, classes = [train], set(train.there), train.classes
    for file in training:
        if file is not train and seen.isdisjoint(file.there) and file.classes & classes:
            joined.append(file)
            seen |= set(file.there)
    return joined


def _read(tree: Tree, name: str) -> File | None:
    """Read a file; None unless it is a COCO file most of whose images exist."""
    path = tree.root / name
    try:
        with opened(path) as stream:
            head = stream.read(HEAD)
            if not head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{"):
                return None
            if not any(key in head for key in (b'"images"', b'"annotations"', b'"categories"')):
                return None
        content = read_json(path, "", "")
    except (OSError, ValueError, DataError):
        return None
    if not isinstance(content.get("images"), list) or not content["images"]:
        return None
    if not all(_are_entries(content.get(key, []), ids) for key, ids in IDS.items()):
        return None
    return _placed(tree, name, content, [str(entry.get("file_name", "")) for entry in content["images"]])


def _are_entries(listed: Any, ids: tuple[str, ...]) -> bool:
    """True for a list of objects whose ids are numbers or strings."""
    return isinstance(listed, list) and all(
        isinstance(entry, dict) and all(isinstance(entry.get(id), int | float | str | None) for id in ids)
        for entry in listed
    )


def _placed(tree: Tree, name: str, content: dict[str, Any], names: list[str]) -> File | None:
    folders: Counter[str] = Counter()
    for written in spread(names, N_TRIED):
        wanted = written.replace("\\", "/").removeprefix("./")
        for image in {*tree.stems.get(_stem(wanted), []), *tree.stems.get(_stem(unquote(wanted)), [])}:
            folders[_start(image, [wanted, unquote(wanted)])] += 1
    if not folders:
        return None
    split = split_in(base(name)) or split_of_path(parent(name))
    folder = max(
        sorted(folders), key=lambda f: (folders[f], f == parent(name), bool(split) and split_of_path(f) == split)
    )
    try:
        names = located(names, str(tree.root / folder), name)
    except DataError:
        return None
    known = set(tree.images())
    paths = [f"{folder}/{wanted}" if folder else wanted for wanted in names]
    there = [path for path in paths if path in known]
    missing = [path for path in paths if path not in known]
    return File(name, content, folder, there, missing) if len(there) >= len(paths) / 2 else None


def _stem(name: str) -> str:
    return base(name).rpartition(".")[0] or base(name)


def _start(image: str, spellings: list[str]) -> str:
    """Folder that an image's name is relative to: the path before one of its spellings, else the image's folder."""
    for name in spellings:
        if image == name or image.endswith(f"/{name}"):
            return image[: len(image) - len(name)].rstrip("/")
    return parent(image)


def _boxes(content: dict[str, Any]) -> Iterator[BoxesOf]:
    """Yield boxes by image, without crowds, invalid boxes, and boxes of no image or category."""
    images, kinds = (Ids(entry.get("id") for entry in content[key]) for key in ("images", "categories"))
    names = {as_text(entry.get("id")): str(entry.get("name")) for entry in content["categories"]}
    of = {
        as_text(entry.get("id")): BoxesOf(str(entry.get("file_name")), [], [], size_of(entry) or (0, 0))
        for entry in content["images"]
    }  # fmt: skip
    for entry in content["annotations"]:
        box, image = entry.get("bbox"), of.get(_found(images, entry.get("image_id")))
        name = names.get(_found(kinds, entry.get("category_id")))
        if entry.get("iscrowd") or image is None or name is None or not _is_box(box):
            continue
        image.labels.append(name)
        image.corners.append([box[0], box[1], box[0] + box[2], box[1] + box[3]])
    yield from of.values()


def _found(ids: Ids, value: Any) -> str | None:
    """Id that a value refers to, as text; None if there is none, or it is ambiguous."""
    try:
        return ids.find(value)
    except Ambiguous:
        return None


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(isinstance(n, int | float) for n in box)


def _doubt_content(tree: Tree, file: File, layout: Layout) -> None:
    """Doubts about crowds, invalid boxes and missing images."""
    notes = file.content["annotations"]
    crowds = sum(bool(entry.get("iscrowd")) for entry in notes)
    if crowds:
        layout.doubt(f"{count(crowds, 'crowd annotation')} (iscrowd) left out: their objects count as background.")
    odd = [entry for entry in notes if not entry.get("iscrowd") and not _is_box(entry.get("bbox"))]
    if odd:
        first = f"first id {odd[0].get('id')!r}"
        layout.doubt(
            f"{count(len(odd), 'annotation')} without a bbox of four numbers, {first}. Correct them.", stops=True
        )
    if any(entry.get("segmentation") for entry in notes):
        layout.facts["outlines"] = "there are segmentations too; detection uses only the boxes"
    if file.missing:
        n = count(len(file.missing), "image")
        layout.data["on_missing_image"] = Setting(
            "quarantine", f"{n} of the JSON {noun(len(file.missing), 'is', 'are')} missing"
        )
        layout.doubt(
            f"{n} of {tree.path(file.name)} not below {tree.path(file.folder)}, first {file.missing[0]!r}: "
            f"{noun(len(file.missing), 'it is', 'they are')} left out."
        )
    _doubt_categories(file.content, layout)


def _doubt_categories(content: dict[str, Any], layout: Layout) -> None:
    """Doubts about gaps in ids, repeated names and categories without a box."""
    entries = content["categories"]
    numbers = sorted(entry["id"] for entry in entries if isinstance(entry.get("id"), int))
    if numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        layout.facts["category ids"] = f"{numbers[0]} to {numbers[-1]} with gaps; submission.json uses the same"
    kinds = Ids(entry.get("id") for entry in entries)
    used = {_found(kinds, entry.get("category_id")) for entry in content["annotations"]}
    own = [entry for entry in entries if as_text(entry.get("id")) in used or not gathers(entry, entries)]
    over = [str(entry.get("name")) for entry in entries if not any(entry is other for other in own)]
    if over:
        n = count(len(over), "category", "categories")
        layout.doubt(
            f"{n} without a box ({some(over)}), only used as the supercategory of others: not a class of the model."
        )
    names = Counter(str(entry.get("name")) for entry in own)
    if twice := [name for name, n in names.items() if n > 1]:
        layout.doubt(f"two categories have the same name: {some(twice)}. Rename one.", stops=True)
    if unused := sorted(set(names) - set(layout.classes)):
        n = count(len(unused), "category", "categories")
        layout.doubt(f"{n} without a box ({some(unused)}): not a class of the model.")


def _doubt_references(content: dict[str, Any], layout: Layout) -> None:
    """Doubts about unknown and repeated ids."""
    images = [entry.get("id") for entry in content["images"]]
    for what, values in (("image", images), ("file name", [entry.get("file_name") for entry in content["images"]])):
        if len(set(values)) < len(values):
            layout.doubt(
                f"{count(len(values) - len(set(values)), what)} is given twice in 'images'. Give each its own.",
                stops=True,
            )
    for key, among in (("image_id", "images"), ("category_id", "categories")):
        known = Ids(entry.get("id") for entry in content[among])
        lost = [entry for entry in content["annotations"] if _found(known, entry.get(key)) is None]
        if lost:
            first = f"first {lost[0].get(key)!r} of annotation id {lost[0].get('id')!r}"
            way = "Correct it, or remove it" if len(lost) == 1 else "Correct them, or remove them"
            layout.doubt(f"{count(len(lost), 'annotation')} with an unknown {key}, {first}. {way}.", stops=True)


def _with_pools(tree: Tree, files: list[File], joined: list[File], layout: Layout) -> Layout:
    """Add test and unlabeled images to the layout."""
    training = set(layout.train)
    folders = {split_of(base(name)): name for name in reversed(list(tree.folders)) if name and tree.n_images[name]}
    tests = [file for file in files if file.split == "test" and training.isdisjoint(file.there)]
    test = min(tests, key=lambda file: (file.has_boxes, file.name)) if tests else None
    if test is not None:
        layout.data["test"] = Setting(tree.path(test.name), "images to predict")
        layout.data["test_images"] = Setting(tree.path(test.folder), "its file names are relative to this")
        layout.test, layout.splits["test"] = sorted(test.there), len(test.content["images"])
        if test.missing:
            layout.doubt(
                f"{count(len(test.missing), 'test image')} of {test.name} missing, first {test.missing[0]!r}. Restore them.",
                stops=True,
            )
        for file in tests:
            if file.has_boxes and sorted(file.there) == layout.test:
                layout.data["test_answers"] = Setting(
                    tree.path(file.name), "true boxes, only for a score in the report"
                )
    elif "test" in folders and not any(file.folder.startswith(folders["test"]) for file in joined):
        layout.data["test_images"] = Setting(tree.path(folders["test"]), "images to predict")
        layout.test = tree.images(folders["test"])
        layout.splits["test"] = len(layout.test)
    if "unlabeled" in folders:
        layout.data["unlabeled"] = Setting(tree.path(folders["unlabeled"]), "images without boxes, for pseudo labels")
        layout.splits["unlabeled"] = tree.n_images[folders["unlabeled"]]
    return layout
