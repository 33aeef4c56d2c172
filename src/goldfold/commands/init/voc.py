"""Detect boxes in Pascal VOC's XML."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from goldfold.base.regular import read_bytes
from goldfold.base.words import count, noun
from goldfold.commands.init.box_looks import BoxesOf, describe, tally
from goldfold.commands.init.contents import named_masks
from goldfold.commands.init.found import Layout, Setting, some, spread
from goldfold.commands.init.tables import Table
from goldfold.commands.init.walk import Tree, base, join, parent
from goldfold.commands.init.words import split_of, split_of_path
from goldfold.images.files import without_suffix
from goldfold.sources.reading import read_xml
from goldfold.sources.voc import signs_of_one_based

LIKELIHOOD = 0.9
N_TRIED, N_READ = 20, 3000
"""Number of files examined to recognise the layout, and then for their boxes."""
SIDES = ("xmin", "ymin", "xmax", "ymax")


@dataclass
class Lists:
    """Files that list the names of each split, relative to the root."""

    train: list[str]
    test: str | None
    names: dict[str, list[str]]
    """Names in each file."""


def sniff(tree: Tree, tables: list[Table]) -> Layout | None:
    """Detect XML files with images of the same names, and lists of splits if any."""
    notes = _annotations(tree)
    if notes is None:
        return None
    names = _stems(tree, notes)
    images = _images(tree, notes, names)
    if images is None:
        return None
    if images == notes and split_of(base(notes)) == "train" and len(parts := _parts(tree, parent(notes))) > 1:
        return _of_parts(tree, parent(notes), parts)
    there = {without_suffix(_inside(name, images)): name for name in tree.images(images)}
    lists = _lists(tree, names)
    test = lists.names[lists.test] if lists.test else []
    listed = (
        [name for file in lists.train for name in lists.names[file]]
        if lists.train
        else [n for n in names if n not in set(test)]
    )
    layout = Layout(
        source="voc", task="detection", title="boxes in Pascal VOC's XML", likelihood=LIKELIHOOD,
        data={"annotations": Setting(tree.path(notes), f"{count(len(names), 'XML file')}"),
              "images": Setting(tree.path(images), "images of the same names")},
        train=[there[name] for name in listed if name in there], splits={"train": len(listed)}, folder=images,
    )  # fmt: skip
    if lists.train:
        paths = [tree.path(name) for name in lists.train]
        layout.data["train"] = Setting(paths[0] if len(paths) == 1 else paths, f"{count(len(listed), 'name')}")
    _describe_boxes(tree, layout, notes, listed)
    _doubt_names(tree, layout, listed, set(names), there, images)
    return _with_pools(tree, layout, lists, names, there, notes)


def _parts(tree: Tree, above: str) -> dict[str, str]:
    """Split -> folder with both images and their XML."""
    children = {split_of(base(name)): name for name in tree.children(above)}
    return {
        split: children[split]
        for split in ("train", "val", "test")
        if split in children and (split == "test" or _stems(tree, children[split]))
    }


def _of_parts(tree: Tree, above: str, parts: dict[str, str]) -> Layout:
    """Layout of images and XML in ``train/``, ``valid/`` and ``test/``, as Roboflow exports them."""
    training = [parts[split] for split in ("train", "val") if split in parts]
    listed = [_inside(join(folder, name), above) for folder in training for name in _stems(tree, folder)]
    there = {without_suffix(_inside(name, above)): name for name in tree.images(above)}
    layout = Layout(
        source="voc", task="detection", title="boxes in Pascal VOC's XML", likelihood=LIKELIHOOD,
        data={"annotations": Setting(tree.path(above), f"{count(len(listed), 'XML file')} of training images"),
              "images": Setting(tree.path(above), "images of the same names"),
              "train": Setting([tree.path(name) for name in training], "one training set: folds replace the split")},
        train=[there[name] for name in listed if name in there], splits={"train": len(listed)}, folder=above,
    )  # fmt: skip
    _describe_boxes(tree, layout, above, listed)
    _doubt_names(tree, layout, listed, set(listed), there, above)
    if "test" in parts:
        names = [_inside(without_suffix(name), above) for name in tree.images(parts["test"])]
        layout.data["test"] = Setting(tree.path(parts["test"]), "images to predict")
        layout.test, layout.splits["test"] = tree.images(parts["test"]), len(names)
        if set(names) <= {_inside(join(parts["test"], name), above) for name in _stems(tree, parts["test"])}:
            why = "the test images' boxes, only for a score in the report"
            layout.data["test_answers"] = Setting(tree.path(above), why)
    return layout


def _annotations(tree: Tree) -> str | None:
    """Folder with most VOC files, or that of the training images if each split has its own."""
    counts = Counter(
        {name: sum(file.lower().endswith(".xml") for file in folder.others) for name, folder in tree.folders.items()}
    )
    counts = Counter({name: n for name, n in counts.items() if n})
    if not counts:
        return None
    best = max(
        sorted(counts), key=lambda name: (split_of_path(name) == "train", split_of_path(name) == "", counts[name])
    )
    tried = spread(_stems(tree, best), N_TRIED)
    sound = sum(_root(tree, join(best, f"{name}.xml")) is not None for name in tried)
    return best if sound > len(tried) / 2 else None


def _stems(tree: Tree, folder: str) -> list[str]:
    return [file[:-4] for file in tree.folders[folder].others if file.endswith(".xml")]


def _root(tree: Tree, name: str) -> Element | None:
    try:
        root = read_xml(tree.root / name)
    except (OSError, ValueError):
        return None
    return root if root.tag == "annotation" else None


def _images(tree: Tree, notes: str, names: list[str]) -> str | None:
    """Folder with most images of the same names."""
    folders = Counter(parent(image) for name in spread(names, 500) for image in tree.stems.get(name, []))
    return (
        max(
            sorted(folders),
            key=lambda name: (
                not named_masks(tree, name),
                folders[name],
                name == notes,
                split_of_path(name) == split_of_path(notes),
            ),
        )
        if folders
        else None
    )


def _inside(name: str, folder: str) -> str:
    return name.removeprefix(f"{folder}/") if folder else name


def _lists(tree: Tree, names: list[str]) -> Lists:
    """Find lists named train, val, trainval and test whose lines are names."""
    known, of_file = set(names), {}
    files: dict[str, str] = {}
    for file in tree.files(".txt"):
        word = base(file)[:-4].lower()
        if word not in ("train", "val", "valid", "trainval", "test"):
            continue
        lines = _lines(tree, file)
        listed = [without_suffix(line.strip()) for line in lines if line.strip()]
        known_to = tree.stems if word == "test" else known
        if listed and sum(name in known_to for name in listed) > len(listed) / 2:
            of_file[file] = listed
            files.setdefault("val" if word == "valid" else word, file)
    train = [files["trainval"]] if "trainval" in files else [files[word] for word in ("train", "val") if word in files]
    return Lists(train, files.get("test"), of_file)


def _lines(tree: Tree, file: str) -> list[str]:
    try:
        return read_bytes(tree.root / file).decode("utf-8-sig", errors="replace").splitlines()
    except OSError:
        return []


def _boxes(tree: Tree, notes: str, names: list[str], broken: list[str]) -> Iterator[BoxesOf]:
    """Yield the boxes of each file; append names of files that the source would refuse to ``broken``."""
    for name in names:
        root = _root(tree, join(notes, f"{name}.xml"))
        if root is None:
            broken.append(name)
            continue
        entry = BoxesOf(name, [], [], _size(root))
        for thing in root.findall("object"):
            label = (thing.findtext("name") or "").strip()
            try:
                corners = [float(thing.findtext(f"bndbox/{side}") or "") for side in SIDES]
            except ValueError:
                label = ""
            if not label:
                broken.append(name)
                break
            entry.labels.append(label)
            entry.corners.append(corners)
        yield entry


def _size(root: Element) -> tuple[int, int]:
    try:
        return int(root.findtext("size/width") or 0), int(root.findtext("size/height") or 0)
    except ValueError:
        return 0, 0


def _describe_boxes(tree: Tree, layout: Layout, notes: str, listed: list[str]) -> None:
    known = {
        name for name in listed if base(join(notes, f"{name}.xml")) in tree.folders[parent(join(notes, name))].others
    }
    read = spread([name for name in listed if name in known], N_READ)
    broken: list[str] = []
    entries = list(_boxes(tree, notes, read, broken))
    describe(layout, tally(iter(entries)))
    if broken:
        layout.doubt(
            f"{count(len(broken), 'XML file')} of {len(read):,} read have an object without name or corners, or are not VOC "
            f"files: {some(broken)}. Correct them.",
            stops=True,
        )
    if len(read) < len(listed):
        layout.unit = f"boxes in {len(read):,} of {len(listed):,} files"
        layout.in_images = {}
    roots = filter(None, (_root(tree, join(notes, f"{name}.xml")) for name in read))
    hard = sum((mark.text or "").strip() == "1" for root in roots for mark in root.findall("object/difficult"))
    if hard:
        layout.data["difficult"] = Setting("keep", f"{count(hard, 'object')} marked difficult; drop leaves them out")
    first = _root(tree, join(notes, f"{listed[0]}.xml")) if listed else None
    database = "" if first is None else (first.findtext("source/database") or "")
    if "VOC20" in database.replace(" ", ""):
        layout.data["one_based"] = Setting(True, f"{database} counts pixels from 1")
    elif signs := signs_of_one_based([(corners, entry.size) for entry in entries for corners in entry.corners]):
        layout.data["one_based"] = Setting(True, f"pixels seem to be counted from 1: {signs}")


def _doubt_names(
    tree: Tree, layout: Layout, listed: list[str], names: set[str], there: dict[str, str], images: str
) -> None:
    lost = [name for name in listed if name not in there]
    if lost:
        layout.data["on_missing_image"] = Setting("quarantine", f"{count(len(lost), 'name')} without an image")
        layout.doubt(f"{count(len(lost), 'name')} without an image below {tree.path(images)}: {some(lost)}; left out.")
    blank = [name for name in listed if name not in names]
    if blank:
        go = noun(len(blank), "this image goes", "these images go")
        layout.doubt(f"{count(len(blank), 'name')} without an XML file: {some(blank)}; {go} to quarantine.")
    repeated = [name for name, n in Counter(listed).items() if n > 1]
    if repeated:
        layout.doubt(
            f"{count(len(repeated), 'name')} listed more than once: {some(repeated)}. List each once.", stops=True
        )


def _with_pools(
    tree: Tree, layout: Layout, lists: Lists, names: list[str], there: dict[str, str], notes: str
) -> Layout:
    """Add test and unlabeled images to the layout."""
    if lists.test is not None:
        test = lists.names[lists.test]
        layout.data["test"] = Setting(tree.path(lists.test), f"{count(len(test), 'name')}")
        layout.test, layout.splits["test"] = [there[name] for name in test if name in there], len(test)
        if set(test) <= set(names):
            layout.data["test_answers"] = Setting(
                tree.path(notes), "the test images' boxes, only for a score in the report"
            )
        if lost := [name for name in test if name not in there]:
            layout.doubt(f"{count(len(lost), 'test name')} without an image: {some(lost)}. Restore them.", stops=True)
        if both := set(test) & {name for file in lists.train for name in lists.names[file]}:
            layout.doubt(
                f"{count(len(both), 'name')} in both lists, e.g. {some(sorted(both))}. Remove them from one.",
                stops=True,
            )
    used = set(layout.train) | set(layout.test)
    for name in tree.folders:
        is_pool = bool(name) and split_of(base(name)) in ("val", "test") and tree.n_images[name] > 0
        if is_pool and not any(image.startswith(f"{name}/") for image in used):
            layout.doubt(
                f"{tree.path(name)} ({count(tree.n_images[name], 'image')}) is not used: data.test is a list of names below "
                f"data.images."
            )
    for name in tree.folders:
        if name and split_of(base(name)) == "unlabeled" and tree.n_images[name]:
            layout.data["unlabeled"] = Setting(tree.path(name), "images without boxes, for pseudo labels")
            layout.splits["unlabeled"] = tree.n_images[name]
            break
    return layout
