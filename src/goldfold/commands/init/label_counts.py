"""Counts of labels, numbers and groups of a table, and doubts about them."""

from collections import Counter

from goldfold.base.words import count, noun
from goldfold.commands.init.columns import FEW, Columns
from goldfold.commands.init.found import Layout, Setting, some
from goldfold.commands.init.tables import Match, Table


def tally(table: Table, match: Match, columns: Columns, layout: Layout) -> None:
    """Count classes, or the range of a number, and groups, over rows that have an image."""
    if columns.group:
        groups = Counter(table.values(columns.group)[row] for row in match.images)
        name, most = groups.most_common(1)[0]
        layout.n_groups = len(groups)
        size = f"the largest has {count(most, 'image')} ({name})"
        layout.facts["groups"] = f"{count(len(groups), 'group')} by {columns.group}, {size}"
    if columns.one_hot:
        _count_one_hot(table, match, columns.one_hot, layout)
        return
    cells = table.values(str(columns.target or columns.label))
    filled = [cells[row] for row in match.images if cells[row]]
    if columns.target:
        numbers = [float(cell) for cell in filled]
        mean = sum(numbers) / len(numbers)
        layout.facts["target"] = f"{columns.target}: {min(numbers):g} to {max(numbers):g}, mean {mean:.4g}"
    elif layout.task == "multilabel":
        _count_several(filled, str(layout.data["label_separator"].value), layout)
    else:
        layout.classes = dict(Counter(filled))
        _doubt_numbers(filled, columns, layout)
    if blank := len(match.images) - len(filled):
        none = ", unless data.empty_label: no_class says that they have no class" if layout.task == "multilabel" else ""
        what = "number" if columns.target else "label"
        go = noun(blank, "this image goes", "these images go")
        layout.doubt(f"{count(blank, 'row')} of {table.name} without a {what}: {go} to quarantine{none}.")


def _count_one_hot(table: Table, match: Match, names: list[str], layout: Layout) -> None:
    """Count images per class; raise a doubt if each image has exactly one."""
    rows = [[table.rows[row][table.columns.index(name)] in ("1", "1.0") for name in names] for row in match.images]
    layout.classes = {name: sum(row[place] for row in rows) for place, name in enumerate(names)}
    for name in [name for name, n in layout.classes.items() if not n]:
        layout.doubt(
            f"column {name!r} of {table.name} is 0 for every image: remove it from data.label_columns.", stops=True
        )
    n_none = sum(not any(row) for row in rows)
    if n_none:
        layout.doubt(
            f"{count(n_none, 'image')} of no class in {table.name}: trained on as such; data.empty_label: missing leaves them "
            f"out."
        )
    if all(sum(row) == 1 for row in rows):
        layout.doubt(
            f"every image of {table.name} has exactly one of {count(len(names), 'column')} ({some(names)}): task: "
            f"classification makes use of that. It reads a single column, which pandas makes: table['label'] = "
            f"table[names].idxmax(axis=1)."
        )


def _count_several(cells: list[str], mark: str, layout: Layout) -> None:
    """Count images per label, of cells with several."""
    parts = [list(filter(None, (part.strip() for part in cell.split(mark)))) for cell in cells]
    layout.classes = dict(Counter(name for part in parts for name in dict.fromkeys(part)))
    first = max(cells, key=lambda cell: cell.count(mark))
    layout.doubt(
        f"labels such as {first!r} are read as several, separated by {mark!r}; if each is one name, remove data.label_separator "
        f"and set task: classification."
    )
    torn = [
        cell for cell, part in zip(cells, parts, strict=True) if len(cell.split(mark)) != len(part) and mark.strip()
    ]
    twice = [cell for cell, part in zip(cells, parts, strict=True) if len(set(part)) < len(part)]
    for odd, what in ((torn, "an empty label"), (twice, "a label twice")):
        if odd:
            layout.data["on_bad_label"] = Setting("drop", f"{count(len(odd), 'cell')} with {what}")
            layout.doubt(f"{count(len(odd), 'cell')} with {what}, first {odd[0]!r}: it is left out.")


def _doubt_numbers(labels: list[str], columns: Columns, layout: Layout) -> None:
    """Doubt about labels that may be a number to predict."""
    kinds = set(labels)
    if len(kinds) > FEW and all(label.isdigit() for label in kinds):
        layout.doubt(
            f"labels are {len(kinds)} different numbers: names, or a number to predict? For the latter, task: regression, and "
            f"data.target_column: {columns.label} in place of data.label_column."
        )
