"""Detect class folders, flat or in splits."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

from goldfold.base.words import count
from goldfold.commands.init import contents, lists, pairings
from goldfold.commands.init.columns import columns_of
from goldfold.commands.init.found import Layout, Setting, some
from goldfold.commands.init.levels import Level, folders_of, levels
from goldfold.commands.init.tables import Table
from goldfold.commands.init.walk import Tree, base, parent
from goldfold.commands.init.words import IMAGES, MASK_END, is_masks, plain, split_of
from goldfold.images.files import without_suffix
from goldfold.sources.folder import TRAIN_NAMES, VALIDATION_NAMES

LIKELIHOOD, UNLIKELIER, CONTRADICTED = 0.6, 0.54, 0.1
"""Below those of tables and lists, which are more likely to hold the labels."""
PART = re.compile(
    r"(?:[\w. -]*[\W_])?(?:part|batch|chunk|images?|imgs?|folder|shard|dataset|data)[\W_]*\d+", re.IGNORECASE
)
"""Name of a folder with a part of the images."""


def sniff(tree: Tree, tables: list[Table]) -> Iterator[Layout]:
    """Detect one folder per class; for nested folders, yield the likeliest level and the next."""
    top = tree.inmost()
    splits = _splits(tree, top)
    start = _start(tree, top, splits)
    root = tree.inmost(start)
    classes = [child for child in tree.children(root) if child not in splits.values()]
    if (
        len(classes) < 2
        or all(_is_no_class(tree, name) for name in classes)
        or any(_has_masks(tree, c) for c in classes)
        or _are_versions(tree, tables, classes)
    ):
        return
    if all(PART.fullmatch(base(name)) for name in classes) and len(classes) > 1:
        return  # images_001/, images_002/: pieces of a large archive
    pooled = _pooled(tree, top, splits, start == root)
    roots = [root, splits["val"]] if pooled else [root]
    for place, level in enumerate(levels(tree, root, classes)):
        layout = _layout(tree, top if pooled else root, roots, classes, level)
        layout.likelihood = UNLIKELIER if place else LIKELIHOOD
        _doubt_masks(tree, layout, root, classes)
        if pooled:
            _note_pooled(tree, layout, splits["val"])
        elif "val" in splits:
            layout.doubt(
                f"{tree.path(splits['val'])} ({count(tree.n_images[splits['val']], 'image')}) is not used: goldfold pools "
                f"folders named train and val if both hold the same class folders, and nothing but test is next to them. "
                f"Move its images into class folders, and set data.train to the parent folder."
            )
        _doubt_strays(tree, layout, root, splits)
        _doubt_tests(tree, layout, level)
        label_of = partial(_label, root=root, level=level)
        yield lists.applied(tree, _with_pools(tree, layout, splits), root, label_of)


def _has_masks(tree: Tree, folder: str) -> bool:
    """True if a folder holds images and their masks, so it is not a class."""
    if pairings.mixed(tree, folder) is not None:
        return True
    names = [base(child) for child in tree.children(folder)]
    stems = {without_suffix(image) for image in tree.folders[folder].images}
    if sum((end := MASK_END.match(stem)) is not None and end.group(1) in stems for stem in stems) * 3 > len(stems) > 0:
        return True
    return any(map(is_masks, names)) and any(plain(name) in IMAGES for name in names)


def _are_versions(tree: Tree, tables: Sequence[Table], folders: Sequence[str]) -> bool:
    """True if folders hold the same images in several sizes or forms: they have equal file names, and either similar names,
    such as ``images`` and ``images_128``, or a table of labels that names the images of only one."""
    stems = {name: {without_suffix(image.removeprefix(f"{name}/")) for image in tree.images(name)} for name in folders}
    if len(set(map(frozenset, stems.values()))) > 1:
        return False
    names = [plain(base(name)) for name in folders]
    if any(word in IMAGES and all(name.startswith(word) for name in names) for word in names):
        return True
    named = [
        set(table.match.images.values())
        for table in tables
        if table.match is not None and not table.is_test and columns_of(table).has_target
        if not any(table.name.startswith(f"{name}/") for name in folders)
    ]
    inside = [{name for name in folders for image in images if image.startswith(f"{name}/")} for images in named]
    return any(len(of) == 1 for of in inside)


def _layout(tree: Tree, train: str, roots: list[str], classes: list[str], level: Level) -> Layout:
    """Layout of class folders at a level."""
    own: dict[str, list[str]] = {root: tree.images(root) for root in roots[1:]}
    own[roots[0]] = sorted(image for name in classes for image in tree.images(name))
    labels = [_label(image, root, level) for root, images in own.items() for image in images]
    n_parts = max((name.count("/") + 1 for name in labels), default=1)
    what = "one folder per class" if n_parts == 1 else f"one folder per class, {n_parts} levels deep"
    layout = Layout(
        source="folder", task="classification", title=what, likelihood=LIKELIHOOD,
        data={"train": Setting(tree.path(train), "one sub-folder per class")},
        train=[image for images in own.values() for image in images], splits={}, classes=dict(Counter(labels)),
    )  # fmt: skip
    layout.splits = {"train": len(layout.train)}
    if level.value != "leaf" or n_parts > 1:
        layout.data["class_level"] = Setting(level.value, level.why)
        layout.doubt(level.why + ": see data.class_level.")
    if level.group is not None:
        groups = {(root, *folders_of(image, root)[: level.group]) for root, images in own.items() for image in images}
        layout.data["group_level"] = Setting(level.group, "images of one such folder are never split over folds")
        layout.n_groups = len(groups)
        of_class = {
            (_label(image, root, level), *folders_of(image, root)[: level.group])
            for root, own_images in own.items()
            for image in own_images
        }
        n_groups = Counter(label for label, *_ in of_class)
        layout.of_one_group = sorted(name for name, n in n_groups.items() if n == 1)
        layout.facts["groups"] = f"{count(len(groups), 'group')}, the folders at level {level.group}"
    return layout


def _label(image: str, root: str, level: Level) -> str:
    parts = folders_of(image, root)
    if level.value == "leaf" or not parts:
        return "/".join(parts)
    level_of = int(level.value)
    return "/".join(parts[:level_of]) if level_of > 0 else parts[level_of]


def _splits(tree: Tree, top: str) -> dict[str, str]:
    """Subfolders of ``top`` that are named like splits, by split."""
    children = tree.children(top)
    named = {split_of(base(child)): child for child in reversed(children) if split_of(base(child))}
    others = [child for child in children if not _is_part(base(child))]
    if len(others) >= 2 and "train" in named and not tree.children(named["train"]):
        return {}  # classes, one of which is named train
    return named


def _start(tree: Tree, top: str, splits: dict[str, str]) -> str:
    if "train" in splits:
        return splits["train"]
    named = [child for child in tree.children(top) if plain(base(child)) in IMAGES and len(tree.children(child)) > 1]
    return named[0] if named else top


def _is_no_class(tree: Tree, folder: str) -> bool:
    """True if a folder's name rules out a class; one named masks that holds photographs may be a class."""
    is_part = split_of(base(folder)) or plain(base(folder)) in IMAGES
    return bool(is_part) or contents.named_masks(tree, folder)


def _doubt_masks(tree: Tree, layout: Layout, root: str, classes: Sequence[str]) -> None:
    """Doubt about folders or files that look like images and their masks, not like classes."""
    pair = next((found for name in tree.below(root) if (found := contents.pair_of(tree, name)) is not None), None)
    if pair is not None:
        what = f"{tree.path(pair[0])} and {tree.path(pair[1])} look like images and their masks"
    elif contents.side_by_side(tree, classes):
        what = f"the files in {tree.path(classes[0])} look like an image and its mask, and so do those next to it"
    else:
        return
    layout.likelihood, layout.is_contradicted = CONTRADICTED, True
    layout.doubt(
        f"{what}, not like classes. Give each mask the name of its image, in folders images/ and masks/, or write the config "
        f"by hand: source: masks or tiles.",
        stops=True,
    )


def _is_part(name: str) -> bool:
    """True if a folder's name indicates a part of the data, not a class."""
    return bool(split_of(name)) or plain(name) in IMAGES or is_masks(name)


def _pooled(tree: Tree, top: str, splits: dict[str, str], is_direct: bool) -> bool:
    """True if the source would pool the train and validation folders."""
    names = set(tree.folders[top].folders)
    known = names & TRAIN_NAMES and names & VALIDATION_NAMES
    if not (is_direct and known and names <= TRAIN_NAMES | VALIDATION_NAMES | {"test"} and "val" in splits):
        return False
    train, val = ({base(child) for child in tree.children(splits[split])} for split in ("train", "val"))
    return bool(train & val)


def _note_pooled(tree: Tree, layout: Layout, folder: str) -> None:
    """Note that train and validation folders are pooled."""
    layout.data["train"] = Setting(
        layout.data["train"].value, f"train/ and {base(folder)}/ are pooled: folds replace the split"
    )
    layout.title += f", in train/ and {base(folder)}/"
    n = tree.n_images[folder]
    layout.doubt(
        f"{tree.path(folder)} ({count(n, 'image')}) is pooled with the training images and split into folds again. If it "
        f"was split by patient or site, the folds ignore that: use source: csv with group_column or fold_column."
    )


def _doubt_tests(tree: Tree, layout: Layout, level: Level) -> None:
    """Doubt about folders within the classes that are named like a test set: their images would be trained on."""
    inner = sorted({parent(name) for name in layout.train if split_of(base(parent(name))) == "test"})
    if inner and level.value == 1:
        n = sum(len(tree.folders[name].images) for name in inner)
        layout.doubt(
            f"{count(n, 'image')} in {some(map(tree.path, inner))} would be trained on. Move them out, into "
            f"{tree.path('test')}, and set data.test to that folder.",
            stops=True,
        )


def _doubt_strays(tree: Tree, layout: Layout, root: str, splits: dict[str, str]) -> None:
    """Doubts about images and folders that the source refuses."""
    loose = tree.folders[root].images
    if loose:
        layout.doubt(
            f"{count(len(loose), 'image')} directly in {tree.path(root)}, outside the class folders: {some(loose)}. Move or "
            f"remove them.",
            stops=True,
        )
    empty = [name for name in tree.folders[root].folders if name not in map(base, tree.children(root))]
    if empty:
        layout.doubt(
            f"{count(len(empty), 'folder')} in {tree.path(root)} without images: {some(empty)}. Remove them.",
            stops=True,
        )
    inside = [name for name in splits.values() if name in tree.children(root)]
    for name in inside if layout.data["train"].value == tree.path(root) else []:
        layout.doubt(
            f"{tree.path(name)} is among the class folders and would be taken for a class. Move the class folders into a "
            f"folder train/ next to it.",
            stops=True,
        )
    for stem, n in Counter(map(without_suffix, layout.train)).items():
        if n > 1:
            layout.doubt(
                f"{count(n, 'file')} are named {stem!r} with different suffixes, but ids must be unique. Rename all but one.",
                stops=True,
            )
            break


def _with_pools(tree: Tree, layout: Layout, splits: dict[str, str]) -> Layout:
    """Add test and unlabeled images to the layout."""
    for split, why in (("test", "images to predict"), ("unlabeled", "images without labels, for pseudo labels")):
        if split in splits:
            layout.data[split] = Setting(tree.path(splits[split]), why)
            layout.splits[split] = tree.n_images[splits[split]]
    if "test" in splits:
        layout.test = tree.images(splits["test"])
        inner = {base(name) for name in tree.children(splits["test"])}
        if inner & {name.split("/")[0] for name in layout.classes}:
            layout.doubt(
                f"{tree.path(splits['test'])} has class folders: its labels are known. A CSV (id, label) of them, set as "
                f"data.test_answers, gives a score in the report; the id is the path below that folder without suffix."
            )
    return layout
