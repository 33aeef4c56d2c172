"""Separate the sealed holdout from the training cases, before folds are made."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold import components
from goldfold.base.errors import DataError
from goldfold.base.words import count
from goldfold.sources.placed import marks
from goldfold.sources.reading import column_of, read_csv
from goldfold.splits.ordered import positions
from goldfold.splits.splitting import UNKEPT, split
from goldfold.splits.together import joined
from goldfold.splits.training import is_train_only, training

ORDERED = ("ordered", "ordered_blocks")
MOST_PARTS = 20
"""Parts that a draw divides the cases into at most, unless the share itself is smaller than one of them."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Separated:
    """Rows of the training table, each in one of three tables."""

    train: pd.DataFrame
    holdout: pd.DataFrame
    left_out: pd.DataFrame
    """Rows too close to the holdout, with their ``reason``."""


def separate(
    table: pd.DataFrame,
    content: pd.DataFrame,
    how: Mapping[str, Any],
    splitter: components.Written,
    gap: float = 0.0,
    lost: Iterable[str] = (),
) -> Separated:
    """Set the holdout aside. No copy of one of its cases, and no case of one of its groups, stays in training.

    Args:
        content: amount of each class in each row.
        how: ``share`` and ``seed`` of a draw; or ``file``, ``id_column``, ``column`` and ``value``.
        splitter: of the folds; a draw keeps to its rule.
        gap: of ordered folds; rows that are closer than this before a drawn holdout are left out.
        lost: ids of training cases that were left out earlier, which the file may name.

    Raises:
        DataError: there is no such holdout, it shares a group with training, or what remains cannot be used.
    """
    is_given = how.get("file") is not None
    key = f"holdout.{'file' if is_given else 'share'}"
    chosen = listed(table, lost=lost, **how) if is_given else drawn(table, content, splitter=splitter, **how)
    ordered = "" if is_given or components.name_of(splitter) not in ORDERED else components.name_of(splitter)
    if is_given:
        _refuse_shared_groups(table, chosen, key)
    kept = training(table, np.where(chosen, 0, -1), 1, ordered, gap)[0]
    _refuse_unusable(content, chosen, kept, key)
    close = ~chosen & ~kept
    train, holdout, left_out = (table[rows].reset_index(drop=True) for rows in (kept, chosen, close))
    return Separated(train, holdout, left_out.assign(reason=_reasons(table, chosen, close)))


def drawn(
    table: pd.DataFrame, content: pd.DataFrame, share: float, splitter: components.Written, seed: int = 0
) -> Mask:
    """(rows,) mask of a stratified share of the cases, without those that are only trained on (train_only, given fold -1).

    The cases are divided into equal parts as into folds, and some of the parts are drawn, so that classes, groups and copies
    are treated as by the folds. Of an ordered split, the last cases are taken.

    Raises:
        DataError: the cases cannot be divided in this way.
    """
    is_never_validated = is_train_only(table)
    if "fold" in table:
        is_never_validated |= pd.to_numeric(table["fold"], errors="coerce").eq(-1).to_numpy()
    candidates = np.flatnonzero(~is_never_validated)
    if not len(candidates):
        raise DataError("holdout.share: no training case is validated, and the holdout is drawn from those that are.")
    rows, amounts = (one.iloc[candidates].reset_index(drop=True) for one in (table, content))
    mask = np.zeros(len(table), dtype=bool)
    name = components.name_of(splitter)
    mask[candidates] = _last(rows, share) if name in ORDERED else _parts(rows, amounts, share, splitter, seed)
    return mask


def _last(rows: pd.DataFrame, share: float) -> Mask:
    """The last rows in the order; equal values stay together."""
    place = positions(rows)
    n = max(1, round(share * len(rows)))
    return np.asarray(place >= np.sort(place)[-n])


def _parts(
    rows: pd.DataFrame, content: pd.DataFrame, share: float, splitter: components.Written, seed: int
) -> Mask:  # fmt: skip
    if components.name_of(splitter) in UNKEPT:
        splitter = "stratified_group" if "group" in rows else "stratified"
    united = joined(rows)
    n_units = united["group"].nunique() if "group" in united else len(rows)
    n_drawn, n_parts = parts_of(share, n_units)
    if n_parts < 2:
        raise DataError(f"holdout.share = {share:g}: all {len(rows)} training cases belong together (group, copies).")
    try:
        numbers = split(rows, content, splitter, n_parts, seed, rare_classes="spread")
    except DataError as error:
        raise DataError(
            f"holdout.share = {share:g}: the {len(rows)} training cases cannot be divided into {n_parts} parts ({error}) Set "
            "another share, or list the holdout in holdout.file."
        ) from error
    turns = [np.isin(numbers, (np.arange(n_drawn) + first) % n_parts) for first in range(n_parts)]
    has = (content > 0).to_numpy()
    return next((mask for mask in turns if not _alone(has, mask, ~mask).any()), turns[0])


def parts_of(share: float, n_units: int) -> tuple[int, int]:
    """Number of drawn parts, and of all parts, whose ratio is nearest to a share.

    >>> parts_of(0.1, 500), parts_of(0.15, 500), parts_of(0.02, 500), parts_of(0.1, 6)
    ((1, 10), (3, 20), (1, 50), (1, 6))
    """
    ratio = Fraction(str(share)).limit_denominator(MOST_PARTS) if share * MOST_PARTS >= 1 else None
    n_drawn, n_parts = (1, round(1 / share)) if ratio is None else (ratio.numerator, ratio.denominator)
    if n_parts <= n_units:
        return n_drawn, n_parts
    return max(1, round(share * n_units)), n_units


def listed(
    table: pd.DataFrame, file: str, id_column: str = "id", column: str | None = None, value: str | None = None,
    lost: Iterable[str] = (),
) -> Mask:  # fmt: skip
    """(rows,) mask of the cases that a CSV names, by ids of the manifest (without its prefix ``train/`` too).

    Raises:
        DataError: the file has no such column, marks a case both ways, or names one that is no training case.
    """
    rows = read_csv(file, "holdout.file")
    ids = column_of(rows, id_column, file, "holdout.id_column")
    if column is None:
        is_in = pd.Series(True, index=rows.index)
    else:
        cells = column_of(rows, column, file, "holdout.column").fillna("")
        is_in = cells == value if value is not None else marks(cells, ids, f"{file}: holdout.column = {column!r}")
        if not is_in.any():
            found = ", ".join(map(repr, sorted(cells.unique())[:10]))
            raise DataError(f"holdout.file: no row of {file} has {column} = {value!r}; it has {found}. Correct value.")
    inside, outside = set(ids[is_in]), set(ids[~is_in])
    if both := inside & outside:
        raise DataError(f"holdout.file: {file} marks id {min(both)!r} in one row, and not in another. Correct it.")
    bare = table["id"].str.removeprefix("train/")
    known = {*table["id"], *bare, *lost, *(id.removeprefix("train/") for id in lost)}
    if unknown := inside - known:
        raise DataError(
            f"holdout.file: {file} names {count(len(unknown), 'id')} that no training case has, first {min(unknown)!r}. Use the "
            "ids of manifest/train.csv."
        )
    return (table["id"].isin(inside) | (bare.isin(inside) & ~table["id"].isin(outside))).to_numpy()


def _refuse_shared_groups(table: pd.DataFrame, chosen: Mask, key: str) -> None:
    if "group" not in table:
        return
    groups = table["group"]
    shared = set(groups[chosen]) & set(groups[~chosen & ~is_train_only(table)])
    if shared:
        raise DataError(
            f"{key}: group {min(shared)!r} is in the holdout and in training ({count(len(shared), 'such group')}). Put whole "
            "groups on one side."
        )


def _alone(has: Mask, inside: Mask, outside: Mask) -> Mask:
    """(classes,) whether a class has cases inside, and none outside."""
    return np.logical_and(has[inside].any(axis=0), ~has[outside].any(axis=0))


def _refuse_unusable(content: pd.DataFrame, chosen: Mask, kept: Mask, key: str) -> None:
    if not chosen.any():
        raise DataError(f"{key}: the holdout is empty: none of the {len(chosen)} training cases is in it.")
    if not kept.any():
        raise DataError(
            f"{key}: the holdout leaves none of the {len(chosen)} training cases to train on. Make it smaller."
        )
    alone = content.columns[_alone((content > 0).to_numpy(), chosen, kept)]
    if len(alone):
        raise DataError(
            f"{key}: class {str(alone[0])!r} would be in the holdout only, so no model would know it "
            f"({count(len(alone), 'such class', 'such classes')}). Leave some of its cases in training, or merge or remove it."
        )


def _reasons(table: pd.DataFrame, chosen: Mask, close: Mask) -> list[str]:
    """Reason why each row of ``close`` may not be trained on."""
    if not close.any():
        return []
    groups = set(table["group"][chosen]) if "group" in table else set()
    units, alike = joined(table), dict[str, str]()
    for column in ("group", "sha256"):
        if column in units:
            alike |= dict(zip(units[column][chosen], table["id"][chosen], strict=True))
    found = []
    for row in np.flatnonzero(close):
        twin = next(
            (alike[key] for name in ("group", "sha256") if name in units and (key := units[name].iloc[row]) in alike),
            None,
        )
        if groups and table["group"].iloc[row] in groups:
            found.append(f"is of group {table['group'].iloc[row]!r}, which is in the holdout")
        elif twin is not None:
            found.append(f"is a copy of holdout case {twin}")
        else:
            found.append("shares an image with the holdout, or is less than folds.gap before it")
    return found
