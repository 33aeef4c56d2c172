"""Detect one folder per image, with one mask file per object."""

from collections import Counter

from goldfold.base.words import count, noun
from goldfold.commands.init.found import Layout, Setting
from goldfold.commands.init.tables import Table
from goldfold.commands.init.walk import Tree, base, join, parent
from goldfold.commands.init.words import split_of

LIKELIHOOD = 0.95
LEAST = 2
"""Smallest number of such folders."""


def sniff(tree: Tree, tables: list[Table]) -> Layout | None:
    """Detect ``<id>/images/<name>`` and ``<id>/masks/*``, with one image each."""
    ids = [name for name in map(parent, tree.folders) if name and _n(tree, name, "images") == 1]
    by_root: dict[str, list[str]] = {}
    for id in sorted(set(ids)):
        by_root.setdefault(parent(id), []).append(id)
    n_masks = {root: sum(_n(tree, id, "masks") > 0 for id in of) for root, of in by_root.items()}
    root = max(sorted(n_masks), key=lambda name: n_masks[name], default=None)
    if root is None or n_masks[root] < LEAST:
        return None
    own = by_root[root]
    n_objects = sum(_n(tree, id, "masks") for id in own)
    layout = Layout(
        source="instances", task="segmentation", title="a folder per image, with a file per object", likelihood=LIKELIHOOD,
        data={"train": Setting(tree.path(root), f"{count(len(own), 'folder')}, {count(n_objects, 'mask')}")},
        train=[image for id in own for image in tree.images(join(id, "images"))], splits={"train": len(own)},
        classes={"foreground": n_masks[root]}, in_images={"foreground": n_masks[root]}, folder=root,
    )  # fmt: skip
    layout.facts["masks"] = f"{count(n_objects, 'file')}, {n_objects / len(own):.1f} per image"
    if lacking := len(own) - n_masks[root]:
        layout.data["on_missing_label"] = Setting("quarantine", f"{count(lacking, 'image')} without masks")
        layout.doubt(f"{count(lacking, 'image')} without masks: {noun(lacking, 'it is', 'they are')} left out.")
    strays = tree.n_images[root] - sum(_n(tree, id, "images") + _n(tree, id, "masks") for id in own)
    if strays:
        lie, them = noun(strays, "lies", "lie"), noun(strays, "it", "them")
        text = f"{count(strays, 'image')} below {tree.path(root)} {lie} neither in <id>/images/ nor in <id>/masks/. Move {them}."
        layout.doubt(text, stops=True)
    test = next((name for name, n in Counter(n_masks).items() if not n and split_of(base(name)) == "test"), None)
    if test is not None:
        layout.data["test"] = Setting(tree.path(test), "images to predict")
        layout.test = [image for id in by_root[test] for image in tree.images(join(id, "images"))]
        layout.splits["test"] = len(layout.test)
    return layout


def _n(tree: Tree, id: str, kind: str) -> int:
    return tree.n_images.get(join(id, kind), 0)
