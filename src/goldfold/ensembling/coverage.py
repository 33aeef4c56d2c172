"""Whether the folds leave enough cases for the coverage of sets and intervals: known with the folds, before any training."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.ensembling.conformal import OF_ONE_CLASS, fewest, too_few
from goldfold.splits.scored import scored


def refuse_unreachable(train: pd.DataFrame, wanted: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a coverage that cannot be fitted without one of the folds, as the step itself does.

    Args:
        train: fold and target of each case; group where there are groups.
        wanted: ``step``, ``coverage``, ``groups`` and ``by`` of each step, see `goldfold.config.tried.coverages`.

    Raises:
        DataError: the cases outside a fold are too few.
    """
    table = scored(train)
    for one in wanted:
        needed, by_group = fewest(one["coverage"]), bool(one["groups"]) and "group" in table
        for fold in sorted(table["fold"].unique()):
            others = table[table["fold"] != fold]
            parts = [own for _, own in others.groupby("label")] if one["by"] == "class" else [others]
            if max((_n(own, by_group) for own in parts), default=0) < needed:
                part = OF_ONE_CLASS if one["by"] == "class" else ""
                raise DataError(too_few(one["step"], one["coverage"], _n(others, by_group), by_group, part))


def _n(cases: pd.DataFrame, by_group: bool) -> int:
    """Number of cases, or of their groups."""
    return cases["group"].nunique() if by_group else len(cases)
