"""Classify the columns of a table: labels, groups, folds, targets, metadata."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from goldfold.base.numbers import number_of
from goldfold.base.words import count, noun
from goldfold.commands.init.found import Doubt, some
from goldfold.commands.init.tables import Table
from goldfold.commands.init.words import (
    BOX_COLUMNS,
    FOLDS,
    LABELS,
    NO_LABEL_COLUMNS,
    SPLIT_COLUMNS,
    TARGETS,
    group_rank,
    plain,
)
from goldfold.sources.parted import PARTS

BINARY = frozenset({"0", "1", "0.0", "1.0"})
SIGNED = BINARY | {"-1", "-1.0", ""}
"""Cells of columns in which -1 means no or uncertain."""
RUN_LENGTHS = re.compile(r"\d+ \d+( \d+ \d+)*")
FEW_GROUPS = 5
"""Groups per class below which a doubt is raised; the usual number of folds."""
FEW = 20
"""Number of distinct labels that is always plausible, however few the rows."""
FEW_ROWS = 5
"""Number of rows above which all-distinct values are not labels."""
MANY_WORDS = 1000
"""Distinct labels examined for separators of several labels."""
MOST_KINDS = 100
"""Largest number of distinct names of a categorical column."""
SEPARATORS = ("|", ";", ",", " ")


@dataclass
class Columns:
    """Columns by role; None if there is no such column."""

    label: str | None = None
    group: str | None = None
    fold: str | None = None
    target: str | None = None
    """A number to predict."""
    one_hot: list[str] = field(default_factory=list)
    numeric: list[str] = field(default_factory=list)
    categorical: list[str] = field(default_factory=list)
    """Metadata columns of few distinct names."""
    has_boxes: bool = False
    of_one_group: list[str] = field(default_factory=list)
    """Classes whose images are all in one group."""
    doubts: list[Doubt] = field(default_factory=list)

    @property
    def has_target(self) -> bool:
        """True if there is a label or a number to predict."""
        return bool(self.label or self.target or self.one_hot)

    def doubt(self, text: str) -> None:
        """Add a doubt."""
        self.doubts.append(Doubt(text))


def columns_of(table: Table, asked: Sequence[str] = ()) -> Columns:
    """Classify the columns of a training table.

    Args:
        asked: columns of the sample submission.
    """
    found = Columns(has_boxes=any(plain(column) in BOX_COLUMNS for column in table.columns))
    free = [column for column in table.columns if table.match is None or column != table.match.column]
    found.group = _group(table, free, found)
    found.fold = _fold(table, free, found)
    free = [column for column in free if column not in (found.group, found.fold) and group_rank(column) is None]
    free = [column for column in free if plain(column) not in SPLIT_COLUMNS]
    able = [column for column in asked if column in free and len(set(table.values(column))) > 1]
    if len(asked) > 1 and able == list(asked) and all(set(table.values(column)) <= BINARY for column in able):
        found.one_hot = able
    elif len(asked) == 1 and able:
        kinds = {value for value in table.values(able[0]) if value}
        found.target, found.label = (able[0], None) if _are_numbers(kinds) and len(kinds) > FEW else (None, able[0])
    else:
        _label(table, free, found)
    if found.group and (found.label or found.one_hot):
        _doubt_group(table, found)
    if found.group and found.fold:
        _doubt_fold(table, found)
    _rest(table, free, found)
    return found


def separator_of(labels: Iterable[str]) -> str | None:
    """Separator of several labels in a cell: in most labels, not equally often in all, and with recurring parts."""
    kinds = [label for label in dict.fromkeys(labels) if label][:MANY_WORDS]
    for mark in SEPARATORS:
        parts = [list(filter(None, label.split(mark))) for label in kinds]
        several = sum(len(part) > 1 for part in parts)
        names = {name for part in parts for name in part}
        differ = len({len(part) for part in parts}) > 1
        if len(parts) > 4 and several > len(parts) / 2 and differ and len(names) < len(parts):
            return mark
    return None


def _are_numbers(values: Iterable[str]) -> bool:
    """True if all values are finite numbers."""
    return all(number_of(value) is not None for value in values)


def _is_measure(table: Table, column: str) -> bool:
    """True for many distinct numbers that are not a running number."""
    values = [value for value in table.values(column) if value]
    kinds = set(values)
    if len(kinds) <= FEW or not _are_numbers(kinds):
        return False
    return len(kinds) < len(values) or not all(value.isascii() and value.isdigit() for value in kinds)


def _rest(table: Table, free: list[str], found: Columns) -> None:
    """Collect metadata: columns of numbers, or of few distinct names, without another role."""
    used = {found.label, found.target, *found.one_hot}
    for column in free:
        kinds = {value for value in table.values(column) if value}
        if column in used or len(kinds) < 2 or plain(column) in BOX_COLUMNS:
            continue
        if _are_numbers(kinds) and (_is_measure(table, column) or len(kinds) <= FEW):
            found.numeric.append(column)
        elif len(kinds) <= min(len(table.rows) / 2, MOST_KINDS) and not _are_numbers(kinds):
            found.categorical.append(column)


def _group(table: Table, free: list[str], found: Columns) -> str | None:
    """Most likely group column: without blanks, and with fewer groups than rows."""
    ranked = sorted((rank, column) for column in free if (rank := group_rank(column)) is not None)
    able = [column for _, column in ranked if 1 < len(set(table.values(column))) < len(table.rows)]
    for column in able:
        blanks = sum(not value for value in table.values(column))
        if not blanks:
            others = [name for name in able if name not in (column,) and "" not in table.values(name)]
            if others:
                found.doubt(
                    f"groups could also be those of {some(others)}: choose the one that test and training images do not share."
                )
            return column
        found.doubt(
            f"column {column!r} of {table.name} looks like groups, but is empty in {count(blanks, 'row')}; not used."
        )
    return None


def _fold(table: Table, free: list[str], found: Columns) -> str | None:
    """Find a column of fold numbers from 0."""
    for column in free:
        values = set(table.values(column))
        if (
            plain(column) in SPLIT_COLUMNS
            and len(values) <= 5
            and {PARTS.get(v.casefold()) for v in values} != {"train", "test"}
        ):
            found.doubt(
                f"column {column!r} of {table.name} has {some(sorted(values))}: goldfold makes folds of all rows. Move rows "
                f"that must not be trained on into a separate CSV."
            )
        if plain(column) not in FOLDS:
            continue
        if values == {str(n) for n in range(len(values))} and len(values) >= 2:
            return column
        found.doubt(
            f"column {column!r} of {table.name} does not number folds from 0 ({some(sorted(values))}); not used. Count from 0."
        )
    return None


def _label(table: Table, free: list[str], found: Columns) -> None:
    able = [column for column in free if _may_be_label(table, column)]
    named = sorted((c for c in able if plain(c) in LABELS), key=lambda column: LABELS.index(plain(column)))
    measures = [c for c in free if c not in able and _is_measure(table, c)]
    called = [c for c in measures if plain(c) in LABELS or plain(c) in TARGETS]
    binary = _binary(table, [c for c in free if c not in named])
    sums = (
        {sum(_is_yes(row[table.columns.index(c)]) for c in binary) for row in table.rows} if len(binary) > 1 else set()
    )
    if not named and len(binary) > 2 and all(plain(c) in NO_LABEL_COLUMNS for c in called):
        found.one_hot = binary
        return
    if not named and (called or (measures and not able)):
        found.target = (called or measures)[0]
        others = [c for c in (called or measures) if c != found.target]
        could = f"; it could also be {some(others)}: see data.target_column" if others else ""
        found.doubt(f"column {found.target!r} of {table.name} is taken to be a number to predict{could}.")
        return
    if not named and (len(binary) > 2 or sums == {1}):
        found.one_hot = binary
        return
    names = named or sorted(able, key=lambda column: plain(column) in NO_LABEL_COLUMNS)
    if not names:
        return
    found.label = names[0]
    if names[1:] and not named:
        found.doubt(
            f"the label is taken to be column {names[0]!r} of {table.name}; it could also be {some(names[1:])}: see "
            f"data.label_column."
        )
    elif names[1:]:
        found.doubt(
            f"columns {some(names[1:])} of {table.name} could be labels too; the label is taken to be {names[0]!r}."
        )


def _binary(table: Table, free: Sequence[str]) -> list[str]:
    """Columns of 0 and 1; also of -1, 0, 1 and blanks if any column has -1."""
    kinds = {column: set(table.values(column)) for column in free}
    signed = {column for column, values in kinds.items() if values <= SIGNED and any(map(_is_yes, values))}
    if any(values & {"-1", "-1.0"} for column, values in kinds.items() if column in signed):
        return [column for column in free if column in signed]
    return [column for column, values in kinds.items() if values and values <= BINARY]


def _is_yes(cell: str) -> bool:
    return cell in ("1", "1.0")


def label_values(table: Table, columns: Sequence[str]) -> dict[str, bool] | None:
    """Meaning of cells (-1 and blanks are no); None if all are 0 and 1."""
    values = {value for column in columns for value in table.values(column)}
    return None if values <= BINARY else {value: _is_yes(value) for value in sorted(values)}


def _may_be_label(table: Table, column: str) -> bool:
    """True for few distinct values that are neither measurements nor run lengths."""
    values = [value for value in table.values(column) if value]
    kinds = set(values)
    if (mark := separator_of(values)) is not None:
        return not _are_numbers(kinds) and len({part for kind in kinds for part in kind.split(mark)}) < len(values)
    if len(kinds) < 2 or len(kinds) > max(len(values) / 2, FEW):
        return False
    if len(kinds) == len(values) > (FEW if table.has_header and plain(column) in LABELS else FEW_ROWS):
        return False
    if sum(RUN_LENGTHS.fullmatch(value) is not None for value in kinds) > len(kinds) / 2:
        return False
    return not (len(kinds) > FEW and all(re.fullmatch(r"-?\d*\.\d+(e-?\d+)?", value) for value in kinds))


def _labels(table: Table, found: Columns) -> list[list[str]]:
    """Classes of each row; cells with several are split."""
    if found.one_hot:
        cells = zip(*map(table.values, found.one_hot), strict=True)
        return [[name for name, cell in zip(found.one_hot, row, strict=True) if _is_yes(cell)] for row in cells]
    values = table.values(str(found.label))
    mark = table.separator or separator_of(values)
    return [[part.strip() for part in value.split(mark)] if mark else [value] for value in values]


def _doubt_group(table: Table, found: Columns) -> None:
    """Doubts about classes in few groups; if every class is in one group, drop the column: it names kinds of classes."""
    groups, rows = table.values(str(found.group)), range(len(table.rows)) if table.match is None else table.match.images
    labels = _labels(table, found)
    pairs = [(label, groups[row]) for row in rows for label in dict.fromkeys(labels[row]) if label]
    n_images, n_groups = Counter(label for label, _ in pairs), Counter(label for label, _ in set(pairs))
    alone = sorted(label for label, n in n_groups.items() if n == 1)
    if not {label for label, n in n_images.items() if n > 1} - set(alone):
        found.doubt(
            f"each class is all in one {found.group!r}, so none could be in training and in validation; groups are not used. "
            f"Check the column."
        )
        found.group = None
        return
    found.of_one_group = alone
    large = [label for label in alone if n_images[label] >= FEW_GROUPS]
    if large:
        found.doubt(
            f"all images of {count(len(large), 'class', 'classes')} ({some(large)}) are of one {found.group!r}: the fold that "
            f"validates {noun(len(large), 'it', 'them')} never trains on {noun(len(large), 'it', 'them')} (folds.rare_classes: "
            f"spread). Check the column."
        )
    few = sorted(label for label, n in n_groups.items() if 1 < n < FEW_GROUPS <= n_images[label])
    if few:
        found.doubt(
            f"{count(len(few), 'class', 'classes')} with fewer than {FEW_GROUPS} groups of {found.group!r} ({some(few)}): if "
            f"all fall into one fold, the run stops with an error; lower folds.n_folds then."
        )


def _doubt_fold(table: Table, found: Columns) -> None:
    """Drop a fold column that splits groups."""
    groups, folds = table.values(str(found.group)), table.values(str(found.fold))
    if len(set(zip(groups, folds, strict=True))) > len(set(groups)):
        found.doubt(
            f"the folds of {found.fold!r} split groups of {found.group!r}, so the score would be optimistic; they are not used."
        )
        found.fold = None
