"""Boxes in COCO's JSON."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from goldfold.data.reading import read_json
from goldfold.runtime.errors import DataError
from goldfold.runtime.regular import opened
from goldfold.runtime.words import count, noun
from goldfold.sniff.box_looks import BoxesOf, Counts, describe, tally
from goldfold.sniff.found import Layout, Setting, some, spread
from goldfold.sniff.tables import Table
from goldfold.sniff.walk import Tree, base, parent
from goldfold.sniff.words import split_in, split_of, split_of_path

LIKELIHOOD = 0.9
HEAD = 1_000_000
"""Bytes of a file in which one of the keys must stand."""
N_TRIED = 500
IDS = {"images": ("id",), "annotations": ("image_id", "category_id"), "categories": ("id",)}
"""Lists of a COCO file, and the ids in their entries."""


@dataclass
class File:
    """A COCO file."""

    name: str
    content: dict[str, Any]
    folder: str
    """Where its file names start, relative to the root."""
    there: list[str]
    """Images that are there, relative to the root."""
    missing: list[str]

    @property
    def split(self) -> str:
        """The split that its name, or its folder's, tells."""
        return split_in(base(self.name)) or split_of_path(parent(self.name)) or split_of_path(self.folder)

    @property
    def has_boxes(self) -> bool:
        """Whether there is something to learn in it."""
        return bool(self.content.get("annotations")) and bool(self.content.get("categories"))


def sniff(tree: Tree, tables: list[Table]) -> Layout | None:
    """A JSON with images, annotations and categories."""
    files = [file for name in tree.files(".json") if (file := _read(tree, name)) is not None]
    learnt = [file for file in files if file.has_boxes and file.split != "test"]
    if not learnt:
        return None
    train = max(learnt, key=lambda file: (file.split == "train", file.split != "val", len(file.there)))
    if not any(_is_box(entry.get("bbox")) for entry in train.content["annotations"]):
        return None
    layout = Layout(
        source="coco", task="detection", title=f"boxes in COCO's {base(train.name)}", likelihood=LIKELIHOOD,
        data={"train": Setting(tree.path(train.name), "images, annotations and categories"),
              "images": Setting(tree.path(train.folder), "its file names start here")},
        train=sorted(train.there), splits={"train": len(train.content["images"])}, folder=train.folder,
    )  # fmt: skip
    _doubt_references(train.content, layout)
    describe(layout, _counts(train))
    _doubt_content(tree, train, layout)
    for other in learnt:
        if other is not train:
            layout.doubt(
                f"{tree.path(other.name)} ({count(len(other.content['images']), 'image')}) is not used: data.train is one file. "
                f"Joined with {base(train.name)}, its images would be in the folds."
            )
    return _with_pools(tree, files, train, layout)


def _read(tree: Tree, name: str) -> File | None:
    """The file where it is COCO's and most of its images are there."""
    path = tree.root / name
    try:
        with opened(path) as stream:
            head = stream.read(HEAD)
            if not head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{"):
                return None
            if not any(key in head for key in (b'"images"', b'"annotations"', b'"categories"')):
                return None
        content = read_json(path, "", "")
    except (OSError, DataError):
        return None
    if not isinstance(content.get("images"), list) or not content["images"]:
        return None
    if not all(_are_entries(content.get(key, []), ids) for key, ids in IDS.items()):
        return None
    names = [str(entry.get("file_name", "")).replace("\\", "/").removeprefix("./") for entry in content["images"]]
    return _placed(tree, name, content, names)


def _are_entries(listed: Any, ids: tuple[str, ...]) -> bool:
    """Whether it is a list of objects whose ids are numbers or text."""
    return isinstance(listed, list) and all(
        isinstance(entry, dict) and all(isinstance(entry.get(id), int | str | None) for id in ids) for entry in listed
    )


def _placed(tree: Tree, name: str, content: dict[str, Any], names: list[str]) -> File | None:
    known = set(tree.images())
    folders: Counter[str] = Counter()
    for wanted in spread(names, N_TRIED):
        for image in tree.stems.get(base(wanted).rpartition(".")[0], []):
            if image == wanted or image.endswith(f"/{wanted}"):
                folders[image[: len(image) - len(wanted)].rstrip("/")] += 1
    if not folders:
        return None
    told = split_in(base(name)) or split_of_path(parent(name))
    folder = max(
        sorted(folders), key=lambda f: (folders[f], f == parent(name), bool(told) and split_of_path(f) == told)
    )
    paths = [f"{folder}/{wanted}" if folder else wanted for wanted in names]
    there = [path for path in paths if path in known]
    missing = [path for path in paths if path not in known]
    return File(name, content, folder, there, missing) if len(there) >= len(paths) / 2 else None


def _counts(file: File) -> Counts:
    return tally(_boxes(file.content))


def _boxes(content: dict[str, Any]) -> Iterator[BoxesOf]:
    """Boxes by image; crowds, what is no box, and what is of no image or category left out."""
    names = {entry.get("id"): str(entry.get("name")) for entry in content["categories"]}
    of = {
        entry.get("id"): BoxesOf(str(entry.get("file_name")), [], [], _size(entry))
        for entry in content["images"]
    }  # fmt: skip
    for entry in content["annotations"]:
        box, image = entry.get("bbox"), of.get(entry.get("image_id"))
        name = names.get(entry.get("category_id"))
        if entry.get("iscrowd") or image is None or name is None or not _is_box(box):
            continue
        image.labels.append(name)
        image.corners.append([box[0], box[1], box[0] + box[2], box[1] + box[3]])
    yield from of.values()


def _size(entry: dict[str, Any]) -> tuple[int, int]:
    try:
        return int(entry["width"]), int(entry["height"])
    except (KeyError, TypeError, ValueError, OverflowError):  # missing, text, infinite
        return 0, 0


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(isinstance(n, int | float) for n in box)


def _doubt_content(tree: Tree, file: File, layout: Layout) -> None:
    """Crowds, boxes that are none, missing images."""
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
        layout.facts["outlines"] = "there are segmentations too; detection uses the boxes alone"
    if file.missing:
        n = count(len(file.missing), "image")
        layout.data["on_missing_image"] = Setting(
            "quarantine", f"{n} of the JSON {noun(len(file.missing), 'is', 'are')} not there"
        )
        layout.doubt(
            f"{n} of {tree.path(file.name)} not below {tree.path(file.folder)}, first {file.missing[0]!r}: "
            f"{noun(len(file.missing), 'it is', 'they are')} left out."
        )
    _doubt_categories(file.content, layout)


def _doubt_categories(content: dict[str, Any], layout: Layout) -> None:
    """Numbers with gaps, names given twice, categories without a box."""
    numbers = sorted(entry["id"] for entry in content["categories"] if isinstance(entry.get("id"), int))
    if numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        layout.facts["category ids"] = f"{numbers[0]} to {numbers[-1]} with gaps; submission.json uses the same"
    names = Counter(str(entry.get("name")) for entry in content["categories"])
    if twice := [name for name, n in names.items() if n > 1]:
        layout.doubt(f"two categories have one name: {some(twice)}. Rename one.", stops=True)
    if unused := sorted(set(names) - set(layout.classes)):
        n = count(len(unused), "category", "categories")
        layout.doubt(f"{n} without a box ({some(unused)}): no class of the model.")


def _doubt_references(content: dict[str, Any], layout: Layout) -> None:
    """Ids that lead nowhere, or that two have."""
    categories = {entry.get("id") for entry in content["categories"]}
    images = [entry.get("id") for entry in content["images"]]
    for what, values in (("image", images), ("file name", [entry.get("file_name") for entry in content["images"]])):
        if len(set(values)) < len(values):
            layout.doubt(
                f"{count(len(values) - len(set(values)), what)} is given twice in 'images'. Give each its own.",
                stops=True,
            )
    for key, known in (("image_id", set(images)), ("category_id", categories)):
        lost = [entry for entry in content["annotations"] if entry.get(key) not in known]
        if lost:
            first = f"first {lost[0].get(key)!r} of annotation id {lost[0].get('id')!r}"
            way = "Correct it, or remove it" if len(lost) == 1 else "Correct them, or remove them"
            layout.doubt(f"{count(len(lost), 'annotation')} with an unknown {key}, {first}. {way}.", stops=True)


def _with_pools(tree: Tree, files: list[File], train: File, layout: Layout) -> Layout:
    """The layout with test and unlabeled images."""
    folders = {split_of(base(name)): name for name in reversed(list(tree.folders)) if name and tree.n_images[name]}
    tests = [file for file in files if file.split == "test" and not set(file.there) & set(train.there)]
    test = min(tests, key=lambda file: (file.has_boxes, file.name)) if tests else None
    if test is not None:
        layout.data["test"] = Setting(tree.path(test.name), "images to predict")
        layout.data["test_images"] = Setting(tree.path(test.folder), "its file names start here")
        layout.test, layout.splits["test"] = sorted(test.there), len(test.content["images"])
        if test.missing:
            layout.doubt(
                f"{count(len(test.missing), 'test image')} of {test.name} missing, first {test.missing[0]!r}. Restore them.",
                stops=True,
            )
        for file in tests:
            if file.has_boxes and sorted(file.there) == layout.test:
                layout.data["test_answers"] = Setting(
                    tree.path(file.name), "true boxes: for a score in the report alone"
                )
    elif "test" in folders and not train.folder.startswith(folders["test"]):
        layout.data["test_images"] = Setting(tree.path(folders["test"]), "images to predict")
        layout.test = tree.images(folders["test"])
        layout.splits["test"] = len(layout.test)
    if "unlabeled" in folders:
        layout.data["unlabeled"] = Setting(tree.path(folders["unlabeled"]), "images without boxes, for pseudo labels")
        layout.splits["unlabeled"] = tree.n_images[folders["unlabeled"]]
    return layout
