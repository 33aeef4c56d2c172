"""Class folders, flat or in splits."""

from collections import Counter

from goldfold.data.files import without_suffix
from goldfold.data.sources.folder import TRAIN_NAMES, VALIDATION_NAMES
from goldfold.runtime.words import count
from goldfold.sniff.found import Layout, Setting, some
from goldfold.sniff.tables import Table
from goldfold.sniff.walk import Tree, base
from goldfold.sniff.words import IMAGES, is_masks, plain, split_of

LIKELIHOOD = 0.6
"""What there is to read beside images is likelier to hold the labels."""


def sniff(tree: Tree, tables: list[Table]) -> Layout | None:
    """One folder a class."""
    top = tree.inmost()
    splits = _splits(tree, top)
    start = _start(tree, top, splits)
    root = tree.inmost(start)
    classes = [child for child in tree.children(root) if child not in splits.values()]
    if len(classes) < 2 or all(_is_part(base(name)) for name in classes):
        return None
    pooled = _pooled(tree, top, splits, start == root)
    train = [image for name in classes for image in tree.images(name)]
    counts = Counter({base(name): tree.n_images[name] for name in classes})
    layout = Layout(
        source="folder", task="classification", title="one folder a class", likelihood=LIKELIHOOD,
        data={"train": Setting(tree.path(root), "one sub-folder a class")},
        train=train, splits={}, classes=counts,
    )  # fmt: skip
    if pooled:
        _pool(tree, layout, top, splits)
    elif "val" in splits:
        layout.doubt(
            f"{tree.path(splits['val'])} ({count(tree.n_images[splits['val']], 'image')}) is not used: goldfold pools folders "
            f"called train and val where nothing but test lies beside them. Rename or move, and name their folder as data.train."
        )
    layout.splits = {"train": len(layout.train)}
    _doubt_strays(tree, layout, root, splits)
    return _with_pools(tree, layout, splits)


def _splits(tree: Tree, top: str) -> dict[str, str]:
    """Folders of the splits by name, where the folders of ``top`` are called so."""
    children = tree.children(top)
    named = {split_of(base(child)): child for child in reversed(children) if split_of(base(child))}
    others = [child for child in children if not _is_part(base(child))]
    if len(others) >= 2 and "train" in named and not tree.children(named["train"]):
        return {}  # classes, one of which is called train
    return named


def _start(tree: Tree, top: str, splits: dict[str, str]) -> str:
    if "train" in splits:
        return splits["train"]
    named = [child for child in tree.children(top) if plain(base(child)) in IMAGES and len(tree.children(child)) > 1]
    return named[0] if named else top


def _is_part(name: str) -> bool:
    """Whether a folder's name says that it holds a part of the data, not a class."""
    return bool(split_of(name)) or plain(name) in IMAGES or is_masks(name)


def _pooled(tree: Tree, top: str, splits: dict[str, str], is_direct: bool) -> bool:
    """Whether the source would pool train and validation folders, as it knows them."""
    names = set(tree.folders[top].folders)
    known = names & TRAIN_NAMES and names & VALIDATION_NAMES
    return bool(is_direct and known and names <= TRAIN_NAMES | VALIDATION_NAMES | {"test"} and "val" in splits)


def _pool(tree: Tree, layout: Layout, top: str, splits: dict[str, str]) -> None:
    folder = splits["val"]
    layout.data["train"] = Setting(
        tree.path(top), f"train/ and {base(folder)}/ are pooled: the folds take the split's place"
    )
    inner = tree.children(folder)
    layout.classes = dict(Counter(layout.classes) + Counter({base(name): tree.n_images[name] for name in inner}))
    layout.train += tree.images(folder)
    layout.title = f"one folder a class, in train/ and {base(folder)}/"
    n = tree.n_images[folder]
    layout.doubt(
        f"{tree.path(folder)} ({count(n, 'image')}) is pooled with the training images and split into folds again. If it "
        f"was split by patient or place, the folds do not know: use source: csv with group_column or fold_column."
    )


def _doubt_strays(tree: Tree, layout: Layout, root: str, splits: dict[str, str]) -> None:
    """What the source refuses."""
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
            f"{tree.path(name)} lies among the class folders and would be taken for a class. Move the class folders into a "
            f"folder train/ beside it.",
            stops=True,
        )
    for stem, n in Counter(map(without_suffix, layout.train)).items():
        if n > 1:
            layout.doubt(
                f"{count(n, 'file')} are called {stem!r} but for their suffix, and an id must be an image's own. Rename all "
                f"but one.",
                stops=True,
            )
            break


def _with_pools(tree: Tree, layout: Layout, splits: dict[str, str]) -> Layout:
    """The layout with test and unlabeled images."""
    for split, why in (("test", "images to predict"), ("unlabeled", "images without labels, for pseudo labels")):
        if split in splits:
            layout.data[split] = Setting(tree.path(splits[split]), why)
            layout.splits[split] = tree.n_images[splits[split]]
    if "test" in splits:
        layout.test = tree.images(splits["test"])
        inner = {base(name) for name in tree.children(splits["test"])}
        if inner & set(layout.classes):
            layout.doubt(
                f"{tree.path(splits['test'])} has class folders: its labels are known. A CSV (id, label) of them as "
                f"data.test_answers gives a score in the report; the id is the path below that folder without suffix."
            )
    return layout
