"""A table of labels beside a folder of images."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from goldfold.base.words import count, noun
from goldfold.commands.init import class_names, one_table
from goldfold.commands.init.columns import Columns, columns_of, label_values, separator_of
from goldfold.commands.init.found import Layout, Setting, some
from goldfold.commands.init.label_counts import tally
from goldfold.commands.init.tables import Match, Table, without_ending
from goldfold.commands.init.walk import Tree, base, common, parent
from goldfold.commands.init.words import plain, split_in, split_of, split_of_path
from goldfold.images.files import SUFFIXES

LIKELIHOOD, OF_FOLDERS = 0.7, 0.4
"""Where a table has but numbers for the folders that the images lie in, class folders say more."""


def sniff(tree: Tree, tables: list[Table]) -> Layout | None:
    """A table with a row per image, and what is in its columns."""
    samples = [table for table in tables if table.is_sample]
    asked = next(([column for column in table.columns if column != _named(table)] for table in samples), [])
    able = [table for table in tables if not table.is_test and table.match is not None]
    learnt = [(table, columns_of(table, asked)) for table in pooled(able)]
    learnt = [(table, columns) for table, columns in learnt if columns.has_target and not columns.has_boxes]
    if not learnt:
        return None
    table, columns = max(learnt, key=lambda entry: (split_in(base(entry[0].name)) == "train", len(entry[0].rows)))
    layout, match = _layout(tree, table, columns)
    test = _test(tree, tables, table, layout)
    if test is None and (parts := one_table.find(tree, table)) is not None:
        one_table.apply(tree, table, columns, parts, layout)
    one_table.doubt(tree, tables, table, layout)
    _name_columns(table, match, columns, test, layout)
    tally(table, match, columns, layout)
    _name_classes(tree, table, layout)
    _doubt_unused(tree, table, [other for other, _ in learnt], layout)
    _doubt_images(tree, table, match, test, layout)
    return _with_test(tree, match, columns, test, tables, layout)


def _layout(tree: Tree, table: Table, columns: Columns) -> tuple[Layout, Match]:
    """The layout of a table, without what its columns say."""
    match = table.match
    assert match is not None
    paths = [tree.path(name) for name in table.files or [table.name]]
    called = " and ".join(base(path) for path in paths)
    layout = Layout(
        source="csv", task=_task(table, columns), title=f"{called} beside {count(len(match.images), 'image')}",
        likelihood=LIKELIHOOD * max(len(set(match.images.values())) / max(tree.n_images[""], 1), 0.9),
        data={"train": Setting(paths if len(paths) > 1 else paths[0], f"{count(len(table.rows), 'row')}"),
              "images": Setting(tree.path(match.folder), f"the names of column {match.column!r} start here")},
        train=sorted(set(match.images.values())), splits={"train": len(match.images)},
    )  # fmt: skip
    if not table.has_header:
        layout.data["columns"] = Setting(table.columns, "the file has no header: names for its columns")
    layout.doubts += [*table.doubts, *columns.doubts]
    return layout, match


def pooled(tables: Sequence[Table]) -> list[Table]:
    """Tables of training and validation images with the same columns as one."""
    alike: dict[tuple[object, ...], list[Table]] = {}
    for table in tables:
        match, split = table.match, _split(table)
        assert match is not None
        key = (tuple(table.columns), match.column, table.has_header)
        alike.setdefault(key if split in ("train", "val") else (table.name,), []).append(table)
    return [joined for own in alike.values() for joined in (_together(own) if len(own) > 1 else own)]


def _split(table: Table) -> str:
    """The split that a table's name tells, or its folder's."""
    return split_in(without_ending(table.name)) or split_of_path(parent(table.name))


def _together(tables: Sequence[Table]) -> list[Table]:
    """Rows of several tables, the training images first, and tables that have to stay alone.

    Those of images in other folders stay so, unless every name is without a folder and of one image alone.
    """
    first, *others = sorted(tables, key=lambda table: (_split(table) != "train", table.name))
    assert first.match is not None
    are_bare = _are_bare(tables)
    alone = [table for table in others if table.match and table.match.folder != first.match.folder and not are_bare]
    others = [table for table in others if table not in alone]
    rows, images, missing = list(first.rows), dict(first.match.images), list(first.match.missing)
    for other in others:
        assert other.match is not None
        known = set(images.values())
        if known & set(other.match.images.values()):
            continue
        images |= {row + len(rows): image for row, image in other.match.images.items()}
        rows += other.rows
        missing += other.match.missing
        first.files = [*(first.files or [first.name]), other.name]
        first.doubts += other.doubts
    folder = common(images.values()) if are_bare else first.match.folder
    match = Match(first.match.column, folder, images, missing)
    return [replace(first, rows=rows, match=match), *alone]


def _are_bare(tables: Sequence[Table]) -> bool:
    """Whether images lie in several folders, and are named without them, each name of one image."""
    matches = [table.match for table in tables if table.match is not None]
    images = [image for match in matches for image in match.images.values()]
    names = [value for table in tables if table.match is not None for value in table.values(table.match.column)]
    if len({match.folder for match in matches}) == 1 or any("/" in name or "\\" in name for name in names):
        return False
    return len({base(image) for image in images}) == len(images)


def _name_classes(tree: Tree, table: Table, layout: Layout) -> None:
    """Names of classes that the table knows by numbers."""
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
    """Whether there is one folder of images for each label, and one label for each folder."""
    assert table.match is not None
    labels = table.values(column)
    pairs = {(labels[row], base(parent(image))) for row, image in table.match.images.items()}
    if all(label == folder for label, folder in pairs):
        return False  # folders say no more than the numbers
    return len({label for label, _ in pairs}) == len({folder for _, folder in pairs}) == len(pairs) > 1


def _named(table: Table) -> str:
    return table.match.column if table.match is not None else table.columns[0]


def _test(tree: Tree, tables: list[Table], train: Table, layout: Layout) -> Table | None:
    """The table of the test images: another than the sample submission where there are both."""
    match = train.match
    assert match is not None
    learnt, left = set(match.images.values()), []
    for table in tables:
        if table is train or not table.is_test or table.match is None:
            continue
        if match.column not in table.columns:
            layout.doubt(
                f"{tree.path(table.name)} calls the images' names {table.match.column!r}, {base(train.name)} {match.column!r}: "
                f"give both the same name, and name it as data.test."
            )
        elif learnt & set(table.match.images.values()):
            layout.doubt(f"{tree.path(table.name)} names training images too; it is not used as the test set.")
        else:
            left.append(table)
    return min(left, key=lambda table: (table.is_sample, table.name)) if left else None


def _name_columns(table: Table, match: Match, columns: Columns, test: Table | None, layout: Layout) -> None:
    id = next((c for c in table.columns if plain(c) == "id" and c != match.column), None)
    ids = table.values(id) if id else []
    is_id = id is not None and all(ids) and len(set(ids)) == len(ids) and (test is None or id in test.columns)
    if is_id:
        layout.data["id_column"] = Setting(id, "every row has its own")
        layout.data["image_column"] = Setting(match.column, _how(table.values(match.column)))
    else:
        layout.data["id_column"] = Setting(match.column, _how(table.values(match.column)))
        names = table.values(match.column)
        if len(set(names)) < len(names):
            layout.doubt(
                f"column {match.column!r} of {table.name} names {count(len(names) - len(set(names)), 'image')} again, first "
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
    """Columns of what is learnt, and of what else is known."""
    if columns.target:
        layout.data["target_column"] = Setting(columns.target, "the number that is learnt")
    elif columns.one_hot:
        layout.data["label_columns"] = Setting(columns.one_hot, "1 where the image is of the class")
        _name_values(table, columns.one_hot, layout)
    else:
        layout.data["label_column"] = Setting(columns.label or "label", "what is learnt")
        if layout.task == "multilabel":
            mark = table.separator or separator_of(table.values(str(columns.label)))
            layout.data["label_separator"] = Setting(mark, "several labels stand in one cell")
    known = {"numeric": columns.numeric, "categorical": columns.categorical}
    others = [name for name in columns.numeric + columns.categorical if name.startswith("label_")]
    if not table.has_header and others:
        layout.doubt(f"the field after the name is what is learnt; {some(others)} are others: see data.label_column.")
    elif any(known.values()):
        layout.data["metadata"] = Setting(
            {kind: names for kind, names in known.items() if names},
            "taken by models with metadata: true",
        )
        layout.facts["metadata"] = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in known.items() if names)


def _name_values(table: Table, names: Sequence[str], layout: Layout) -> None:
    """What cells mean that are not 0 and 1."""
    meaning = label_values(table, names)
    if meaning is not None:
        layout.data["label_values"] = Setting(meaning, "what a cell means")
        if {"0", "0.0"} & set(meaning):
            odd = some(value for value, is_yes in meaning.items() if value not in ("0", "0.0") and not is_yes)
            layout.doubt(f"cells of {odd} are read as no, like 0; -1 often means uncertain: see data.label_values.")


def _how(names: list[str]) -> str:
    """How the names are written."""
    has_suffix = any(os.path.splitext(name)[1].lower() in SUFFIXES for name in names)
    return f"names of images, {'with' if has_suffix else 'without'} suffix"


def _doubt_unused(tree: Tree, used: Table, tables: Sequence[Table], layout: Layout) -> None:
    """Other tables of labels, but for the one that names the classes: its numbers may look like names of images."""
    names = layout.data.get("class_names")
    for other in tables:
        if other is not used and (names is None or names.value != tree.path(other.name)):
            layout.doubt(
                f"{tree.path(other.name)} has labels of images too and is not used: its names start elsewhere, or its "
                f"columns differ from those of {base(used.name)}."
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


def _answers(tree: Tree, columns: Columns, test: Table, tables: list[Table]) -> str | None:
    """A table of the test images' labels, in columns that the pipeline takes for id and label."""
    for table in tables:
        asked = columns.target or columns.label
        if not table.is_test or table.is_sample or test.match is None or asked not in table.columns:
            continue
        if not {"id", "label"} <= set(table.columns) and table.columns[:2] != [test.match.column, asked]:
            continue
        ids = table.values("id" if {"id", "label"} <= set(table.columns) else table.columns[0])
        if set(ids) == set(test.values(test.match.column)) and all(table.values(str(asked))):
            return tree.path(table.name)
    return None


def _with_test(
    tree: Tree, match: Match, columns: Columns, test: Table | None, tables: list[Table], layout: Layout
) -> Layout:
    """The layout with test and unlabeled images."""
    folders = {
        split_of(base(name)): name for name in tree.folders if name and tree.n_images[name] and split_of(base(name))
    }
    if test is not None and test.match is not None:
        layout.doubts += test.doubts
        layout.data["test"] = Setting(tree.path(test.name), f"{count(len(test.rows), 'row')} to predict")
        if test.match.folder != match.folder:
            layout.data["test_images"] = Setting(
                tree.path(test.match.folder), "where the names of the test table start"
            )
        layout.test = sorted(test.match.images.values())
        layout.splits["test"] = len(test.rows)
        answers = _answers(tree, columns, test, tables)
        if answers is not None:
            layout.data["test_answers"] = Setting(answers, "true labels: for a score in the report alone")
        if test.match.missing:
            layout.doubt(
                f"{count(len(test.match.missing), 'row')} of {tree.path(test.name)} without an image, first "
                f"{test.match.missing[0]!r}. Every test image must be there: restore them.",
                stops=True,
            )
    elif not layout.test and "test" in folders and folders["test"] != match.folder:
        layout.doubt(
            f"{tree.path(folders['test'])} has {count(tree.n_images[folders['test']], 'image')}, but no table of their names "
            f"with a column {layout.data['id_column'].value!r}: source csv predicts what data.test lists. Write one."
        )
    if "unlabeled" in folders:
        layout.data["unlabeled"] = Setting(tree.path(folders["unlabeled"]), "images without labels, for pseudo labels")
        layout.splits["unlabeled"] = tree.n_images[folders["unlabeled"]]
    return layout
