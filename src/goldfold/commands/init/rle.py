"""Detect masks as run lengths in a table."""

from collections import Counter

from goldfold.base.words import count, noun
from goldfold.commands.init.columns import RUN_LENGTHS
from goldfold.commands.init.found import Layout, Setting, some
from goldfold.commands.init.tables import Table
from goldfold.commands.init.walk import Tree, base
from goldfold.commands.init.words import plain, split_in, split_of_path
from goldfold.sources.rle import NO_MASK

LIKELIHOOD = 0.85
CALLED = ("rle", "encodedpixels", "runlength", "mask", "segmentation")
"""Words in names of columns of run lengths; four numbers under another name may be a box."""
MOST_CLASSES = 50


def sniff(tree: Tree, tables: list[Table]) -> Layout | None:
    """Detect a CSV with one row per image, or per object, and a column of run lengths."""
    able = [(table, column) for table in tables if not table.is_test and (column := _runs(table)) is not None]
    if not able:
        return None
    table, column = max(able, key=lambda entry: (split_in(base(entry[0].name)) == "train", len(entry[0].rows)))
    match = table.match
    assert match is not None
    train = sorted(set(match.images.values()))
    layout = Layout(
        source="rle", task="segmentation", title=f"run lengths in {base(table.name)}", likelihood=LIKELIHOOD,
        data={"train": Setting(tree.path(table.name), f"{count(len(table.rows), 'row')}"),
              "images": Setting(tree.path(match.folder), f"names in column {match.column!r} are relative to this"),
              "id_column": Setting(match.column, "names the images"),
              "rle_column": Setting(column, "run lengths")},
        train=train, splits={"train": len(train)}, folder=match.folder, doubts=list(table.doubts),
    )  # fmt: skip
    images = [match.images.get(row) for row in range(len(table.rows))]
    known = [image is not None and _is_mask(text) for image, text in zip(images, table.values(column), strict=True)]
    kind = _class_column(table, match.column, column)
    names = table.values(kind) if kind is not None else ["foreground"] * len(table.rows)
    pairs = {pair for pair, is_known in zip(zip(images, names, strict=True), known, strict=True) if is_known}
    layout.classes = layout.in_images = dict(Counter(name for _, name in pairs))
    if kind is not None:
        layout.data["class_column"] = Setting(kind, "class of a row")
        layout.data["classes"] = Setting(sorted(layout.classes), "in the order of the values in masks")
        layout.doubt(f"column {kind!r} is taken for the class of a row: see data.class_column.")
    empty = len(train) - len({image for image, _ in pairs})
    layout.facts["masks"] = f"run lengths of {count(sum(known), 'row')}, {count(empty, 'image')} without an object"
    layout.doubt("pixels are assumed to be counted down the columns from 1: see data.row_major and data.first_pixel.")
    if missing := sorted({name for name in match.missing if name}):
        layout.data["on_missing_image"] = Setting("quarantine", f"{count(len(missing), 'name')} without an image")
        layout.doubt(
            f"{count(len(missing), 'name')} of {base(table.name)} without an image, {some(missing)}: left out."
        )
    return _with_rest(tree, layout, match.folder)


def _runs(table: Table) -> str | None:
    """Find the column of run lengths."""
    for column in table.columns:
        values = [value for value in table.values(column) if _is_mask(value)]
        if table.match is None or column == table.match.column or not values:
            continue
        is_called = any(word in plain(column) for word in CALLED)
        if all(map(RUN_LENGTHS.fullmatch, values)) and (is_called or any(value.count(" ") > 3 for value in values)):
            return column
    return None


def _is_mask(text: str) -> bool:
    return bool(text) and text.lower() not in NO_MASK


def _class_column(table: Table, *others: str) -> str | None:
    """Find a column of few names that is named like a class."""
    for column in table.columns:
        if column not in others and any(word in plain(column) for word in ("class", "label", "category")):
            names = set(table.values(column)) - {""}
            return column if 1 < len(names) <= MOST_CLASSES else None
    return None


def _with_rest(tree: Tree, layout: Layout, folder: str) -> Layout:
    """Add test images, and images without a row, to the layout."""
    tests = [name for name in tree.folders if name and tree.folders[name].images and split_of_path(name) == "test"]
    tests = [name for name in tests if name != folder]
    if tests:
        layout.data["test"] = Setting(tree.path(tests[0]), "images to predict")
        layout.test = tree.images(tests[0])
        layout.splits["test"] = len(layout.test)
    rest = len(set(tree.images(folder)) - set(layout.train) - set(layout.test))
    if rest:
        layout.data["unlisted"] = Setting("empty", f"{count(rest, 'image')} in no row")
        layout.doubt(
            f"{count(rest, 'image')} below {tree.path(folder) or '.'} in no row {noun(rest, 'is', 'are')} assumed to be without "
            f"an object; if {noun(rest, 'its mask is', 'their masks are')} unknown, set data.unlisted: missing and "
            f"data.on_missing_label: quarantine."
        )
    return layout
