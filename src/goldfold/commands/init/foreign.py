"""Recognise label files that goldfold does not read, or reads only after a correction."""

import json
from collections.abc import Iterator
from typing import Any

from goldfold.base.words import count
from goldfold.commands.init.found import some, spread
from goldfold.commands.init.walk import Tree, base, parent
from goldfold.sources.records import SPLIT_WORDS

N_TRIED = 3
HEAD = 20_000
"""Characters examined at the start of a file."""
COCO_LISTS = ("images", "annotations", "categories")
PACKED = {
    ".parquet": "a Parquet table, as Hugging Face has them", ".arrow": "an Arrow table", ".tfrecord": "TensorFlow records",
    ".h5": "an HDF5 file", ".hdf5": "an HDF5 file", ".npz": "NumPy arrays", ".npy": "a NumPy array", ".mdb": "an LMDB database",
    ".lmdb": "an LMDB database", ".mat": "MATLAB's arrays", ".pkl": "a Python pickle", ".pickle": "a Python pickle",
}  # fmt: skip
"""Files of arrays that may hold images or labels, by suffix."""
Found = tuple[str, str, str, str]
"""File, nearest layout, evidence for it, and what is wrong."""


def files(tree: Tree) -> Iterator[Found]:
    """Yield a file of each recognised kind that cannot be read as it is."""
    yield from _jsons(tree)
    yield from _xmls(tree)
    yield from _texts(tree)
    yield from _packed(tree)


def _packed(tree: Tree) -> Iterator[Found]:
    for suffix, what in PACKED.items():
        names = tree.files(suffix)
        if names:
            so = f" ({count(len(names), 'such file')})" if len(names) > 1 else ""
            way = "goldfold reads images as separate files and labels as text. Export the images as PNG or JPEG, and a CSV"
            yield (
                names[0],
                "csv",
                f"{tree.path(names[0])} is {what}{so}",
                f"{way} (id, label) of their names; then run init again.",
            )


def _by_folder(tree: Tree, suffix: str) -> Iterator[tuple[str, list[str]]]:
    """Yield folders with files of a suffix, and the files."""
    folders: dict[str, list[str]] = {}
    for name in tree.files(suffix):
        folders.setdefault(parent(name), []).append(name)
    yield from sorted(folders.items())


def _jsons(tree: Tree) -> Iterator[Found]:
    kinds: set[str] = set()
    for _, names in _by_folder(tree, ".json"):
        for name in spread(names, N_TRIED):
            found = _json(tree, name, len(names))
            if found is not None and found[2] not in kinds:
                kinds.add(found[2])
                yield name, *found


def _json(tree: Tree, name: str, n: int) -> tuple[str, str, str] | None:
    """Nearest layout, evidence, and what is wrong; None if the JSON does not hold labels."""
    text = _head(tree, name)
    where = f"{tree.path(name)} has"
    if '"shapes"' in text and '"imagePath"' in text:
        way = f"{count(n, 'such file')} of LabelMe are not read. Convert them, e.g. with labelme2coco, or labelme2yolo."
        return "coco", f"{where} LabelMe's 'shapes' and 'imagePath'", way
    if '"_via_img_metadata"' in text or '"shape_attributes"' in text:
        return "coco", f"{where} VIA's regions", "VIA's JSON is not read. Export as COCO from VIA (Annotation, Export)."
    if '"annotations"' not in text and '"images"' not in text:
        return _by_split(tree, name, where) if any(f'"{word}"' in text.lower() for word in SPLIT_WORDS) else None
    try:
        content = json.loads((tree.root / name).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        if "JSON" not in type(error).__name__:
            return None
        return (
            "coco",
            f"{tree.path(name)} begins like COCO's JSON",
            f"it is not valid JSON ({error}). Download it again.",
        )
    return _coco(tree, where, content) if isinstance(content, dict) else None


def _by_split(tree: Tree, name: str, where: str) -> tuple[str, str, str] | None:
    """Recognise a JSON with one table per split."""
    try:
        content = json.loads((tree.root / name).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or len(content) < 2 or not all(key.lower() in SPLIT_WORDS for key in content):
        return None
    way = "Write each into a separate file (train.json, val.json, test.json), or all into one CSV with a column split."
    return "csv", f"{where} {some(content)}", f"one file with a table per split is not read. {way}"


def _coco(tree: Tree, where: str, content: dict[str, Any]) -> tuple[str, str, str] | None:
    there = [key for key in COCO_LISTS if isinstance(content.get(key), list) and content[key]]
    lacking = [key for key in COCO_LISTS if key not in there]
    if len(there) < 2 and "annotations" not in there:
        return None
    because = f"{where} the lists {', '.join(there)}"
    if lacking:
        return "coco", because, f"{some(lacking)} is missing or empty. Export the complete file."
    notes = [note for note in content["annotations"] if isinstance(note, dict)]
    if not any("bbox" in note or "segmentation" in note for note in notes):
        way = "Write their labels into a CSV (id, label), and run init again."
        return "coco", because, f"its annotations have no bbox: labels of whole images are not read from COCO. {way}"
    names = [str(entry.get("file_name", "")) for entry in content["images"] if isinstance(entry, dict)]
    lost = [name for name in names if base(name.replace("\\", "/")).rpartition(".")[0] not in tree.stems]
    if not lost:
        return None
    return (
        "coco",
        because,
        f"{len(lost):,} of its {count(len(names), 'image')} are not here, first {lost[0]!r}. Add them.",
    )


def _xmls(tree: Tree) -> Iterator[Found]:
    for folder, names in _by_folder(tree, ".xml"):
        text = _head(tree, names[0])
        if "<annotations" in text and "<image " in text:
            way = "CVAT's XML is not read. Export the task as COCO 1.0 or Pascal VOC 1.1."
            yield names[0], "voc", f"{tree.path(names[0])} has CVAT's images in one file", way
            return
        stems = [base(name)[:-4] for name in names]
        if "<annotation" in text and "<object" in text and not any(stem in tree.stems for stem in stems):
            because = f"{tree.path(folder)} has {count(len(names), 'XML file')} of Pascal VOC"
            yield names[0], "voc", because, f"no image has the name of one, first {stems[0]!r}. Add the images."
            return


def _texts(tree: Tree) -> Iterator[Found]:
    for folder, names in _by_folder(tree, ".txt"):
        stems = [base(name)[:-4] for name in names]
        words = _head(tree, names[0]).split("\n", 1)[0].split()
        is_label = len(words) == 5 and words[0].isdigit() and all(_is_share(word) for word in words[1:])
        if is_label and not any(stem in tree.stems for stem in stems):
            because = f"{tree.path(folder)} has {count(len(names), 'text file')} with a class number and four shares"
            yield names[0], "yolo", because, f"no image has the name of one, first {stems[0]!r}. Add the images."
            return


def _is_share(word: str) -> bool:
    try:
        return 0 <= float(word) <= 1
    except ValueError:
        return False


def _head(tree: Tree, name: str) -> str:
    try:
        with open(tree.root / name, encoding="utf-8-sig", errors="replace") as stream:
            return stream.read(HEAD)
    except OSError:
        return ""
