"""Detect a table of labels with a folder of images."""

import os
from collections import Counter
from collections.abc import Sequence

from goldfold.base.words import count, noun
from goldfold.commands.init import class_names, one_table
from goldfold.commands.init.columns import Columns, columns_of, label_values, separator_of
from goldfold.commands.init.found import Layout, Setting, some
from goldfold.commands.init.label_counts import tally
from goldfold.commands.init.pooled_tables import pooled
from goldfold.commands.init.tables import Match, Table
from goldfold.commands.init.test_set import test_table, with_test
from goldfold.commands.init.walk import Tree, base, parent
from goldfold.commands.init.words import plain, split_in, split_of
from goldfold.images.files import SUFFIXES

LIKELIHOOD, OF_FOLDERS = 0.7, 0.4
"""Likelihood of a table; lower if its labels only number the images' folders, since class folders say more."""


def sniff(tree: Tree, tables: list[Table]) -> Layout | None:
    """Detect a table with one row per image, and the roles of its columns."""
    samples = [table for table in tables if table.is_sample]
    asked = next(([column for column in table.columns if column != _named(table)] for table in samples), [])
    able = [table for table in tables if not table.is_test and table.match is not None]
    training = [(table, columns_of(table, asked)) for table in pooled(able)]
    training = [(table, columns) for table, columns in training if columns.has_target and not columns.has_boxes]
    if not training:
        return None
    table, columns = max(training, key=lambda entry: (split_in(base(entry[0].name)) == "train", len(entry[0].rows)))
    layout, match = _layout(tree, table, columns)
    test = test_table(tree, tables, table, layout)
    if test is None and (parts := one_table.find(tree, table)) is not None:
        one_table.apply(tree, table, columns, parts, layout)
    one_table.doubt(tree, tables, table, layout)
    _name_columns(table, match, columns, test, layout)
    tally(table, match, columns, layout)
    _name_classes(tree, table, layout)
    _doubt_unused(tree, table, [other for other, _ in training], layout)
    _doubt_images(tree, table, match, test, layout)
    return with_test(tree, match, columns, test, tables, layout)


def _layout(tree: Tree, table: Table, columns: Columns) -> tuple[Layout, Match]:
    """Layout of a table, without the roles of its columns."""
    match = table.match
    assert match is not None
    paths = [tree.path(name) for name in table.files or [table.name]]
    called = " and ".join(base(path) for path in paths)
    layout = Layout(
        source="csv", task=_task(table, columns), title=f"{called} with {count(len(match.images), 'image')}",
        likelihood=LIKELIHOOD * max(len(set(match.images.values())) / max(tree.n_images[""], 1), 0.9),
        data={"train": Setting(paths if len(paths) > 1 else paths[0], f"{count(len(table.rows), 'row')}"),
              "images": Setting(tree.path(match.folder), f"names in column {match.column!r} are relative to this")},
        train=sorted(set(match.images.values())), splits={"train": len(match.images)},
    )  # fmt: skip
    if not table.has_header:
        layout.data["columns"] = Setting(table.columns, "the file has no header: names of its columns")
    layout.doubts += [*table.doubts, *columns.doubts]
    return layout, match


def _name_classes(tree: Tree, table: Table, layout: Layout) -> None:
    """Find names for classes that the table gives as numbers."""
    if layout.task != "classification":
        return
    found = class_names.find(tree, layout.classes, table.name, *table.files)
    if found is not None:
        name, names = found
        layout.data["class_names"] = Setting(tree.path(name), "names for the numbers")
        layout.classes = {names[label]: n for label, n in layout.classes.items()}
    elif all(map(str.isdigit, layout.classes)) and _are_folders(table, str(layout.data["label_column"].value)):
        layout.likelihood = OF_FOLDERS


def _are_folders(table: Table, column: str) -> bool:
    """True if labels and folders of images correspond one to one."""
    assert table.match is not None
    labels = table.values(column)
    pairs = {(labels[row], base(parent(image))) for row, image in table.match.images.items()}
    if all(label == folder for label, folder in pairs):
        return False  # folders add nothing to the numbers
    return len({label for label, _ in pairs}) == len({folder for _, folder in pairs}) == len(pairs) > 1


def _named(table: Table) -> str:
    return table.match.column if table.match is not None else table.columns[0]


def _name_columns(table: Table, match: Match, columns: Columns, test: Table | None, layout: Layout) -> None:
    id = next((c for c in table.columns if plain(c) == "id" and c != match.column), None)
    ids = table.values(id) if id else []
    is_id = id is not None and all(ids) and len(set(ids)) == len(ids) and (test is None or id in test.columns)
    if is_id:
        layout.data["id_column"] = Setting(id, "unique in every row")
        layout.data["image_column"] = Setting(match.column, _how(table.values(match.column)))
    else:
        layout.data["id_column"] = Setting(match.column, _how(table.values(match.column)))
        names = table.values(match.column)
        if len(set(names)) < len(names):
            layout.doubt(
                f"column {match.column!r} of {table.name} names {count(len(names) - len(set(names)), 'image')} repeatedly, first "
                f"{Counter(names).most_common(1)[0][0]!r}. Give every image one row.",
                stops=True,
            )
    _name_target(table, columns, layout)
    if columns.group:
        layout.data["group_column"] = Setting(columns.group, "images that belong together are never split over folds")
        layout.of_one_group = columns.of_one_group
    if columns.fold:
        layout.data["fold_column"] = Setting(columns.fold, "the folds are given")
        layout.n_folds = len(set(table.values(columns.fold)))


def _task(table: Table, columns: Columns) -> str:
    if columns.target:
        return "regression"
    several = bool(columns.one_hot or table.separator) or separator_of(table.values(str(columns.label))) is not None
    return "multilabel" if several else "classification"


def _name_target(table: Table, columns: Columns, layout: Layout) -> None:
    """Name the columns of the target, and of metadata."""
    if columns.target:
        layout.data["target_column"] = Setting(columns.target, "the number to predict")
    elif columns.one_hot:
        layout.data["label_columns"] = Setting(columns.one_hot, "1 if the image is of the class")
        _name_values(table, columns.one_hot, layout)
    else:
        layout.data["label_column"] = Setting(columns.label or "label", "the label to predict")
        if layout.task == "multilabel":
            mark = table.separator or separator_of(table.values(str(columns.label)))
            layout.data["label_separator"] = Setting(mark, "separates several labels in a cell")
    taken = {setting.value for key in ("id_column", "image_column") if (setting := layout.data.get(key))}
    known = {
        kind: [name for name in names if name not in taken]
        for kind, names in (("numeric", columns.numeric), ("categorical", columns.categorical))
    }
    others = [name for name in columns.numeric + columns.categorical if name.startswith("label_")]
    if not table.has_header and others:
        layout.doubt(
            f"the field after the name is taken for the label; others are {some(others)}: see data.label_column."
        )
    elif any(known.values()):
        layout.data["metadata"] = Setting(
            {kind: names for kind, names in known.items() if names},
            "used by models with metadata: true",
        )
        layout.facts["metadata"] = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in known.items() if names)


def _name_values(table: Table, names: Sequence[str], layout: Layout) -> None:
    """Set the meaning of cells other than 0 and 1."""
    meaning = label_values(table, names)
    if meaning is not None:
        layout.data["label_values"] = Setting(meaning, "meaning of a cell")
        if {"0", "0.0"} & set(meaning):
            odd = some(value for value, is_yes in meaning.items() if value not in ("0", "0.0") and not is_yes)
            layout.doubt(f"cells of {odd} are read as no, like 0; -1 often means uncertain: see data.label_values.")


def _how(names: list[str]) -> str:
    """Reason for a column of names."""
    has_suffix = any(os.path.splitext(name)[1].lower() in SUFFIXES for name in names)
    return f"names of images, {'with' if has_suffix else 'without'} suffix"


def _doubt_unused(tree: Tree, used: Table, tables: Sequence[Table], layout: Layout) -> None:
    """Doubt about other tables of labels, except one that names the classes: its numbers may look like names of images."""
    names = layout.data.get("class_names")
    for other in tables:
        if other is not used and (names is None or names.value != tree.path(other.name)):
            layout.doubt(
                f"{tree.path(other.name)} has labels of images too and is not used: its names are relative to another folder, "
                f"or its columns differ from those of {base(used.name)}."
            )


def _doubt_images(tree: Tree, table: Table, match: Match, test: Table | None, layout: Layout) -> None:
    if match.missing:
        layout.data["on_missing_image"] = Setting("quarantine", f"{count(len(match.missing), 'row')} without an image")
        layout.doubt(
            f"{count(len(match.missing), 'row')} of {table.name} without an image below {tree.path(match.folder)}, first "
            f"{match.missing[0]!r}: {noun(len(match.missing), 'it is', 'they are')} left out."
        )
    named = {*match.images.values(), *layout.test} | set(test.match.images.values() if test and test.match else [])
    unnamed = [name for name in tree.images(match.folder) if name not in named and not _is_pool(name)]
    if unnamed:
        layout.facts["unnamed"] = f"{count(len(unnamed), 'image')} in no table"
        layout.doubt(
            f"{count(len(unnamed), 'image')} below {tree.path(match.folder)} in no table, first {unnamed[0]!r}: left out. "
            f"`unlabeled: {tree.path(match.folder)}` below data: has them pseudo-labelled."
        )


def _is_pool(name: str) -> bool:
    return any(split_of(part) in ("test", "unlabeled") for part in name.split("/")[:-1])
