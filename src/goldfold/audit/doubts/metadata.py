"""Doubts about metadata columns that a network takes or learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from goldfold.base.words import count

if TYPE_CHECKING:
    import pandas as pd

MOST_SINGLE = 0.5
"""Largest share of training cases whose level no other training case has."""
FEWEST_OF_LEVEL = 2
"""Least mean number of cases of a level: where each case has its own, a level of one class means nothing."""
SAME = 0.9999
"""Correlation from which two columns of numbers are the same but for scale and offset."""
MOST_UNKNOWN = 0.2
"""Largest share of test cases whose level no training case has."""


def about_metadata(tables: Mapping[str, pd.DataFrame], categorical: Sequence[str]) -> Iterator[str]:
    """Categorical columns from which a network can learn little.

    Args:
        tables: ``train``, and ``test`` if there is one, with all metadata columns; an empty text is a missing value.
        categorical: names of the categorical columns that models take.
    """
    from goldfold.metadata.columns import PREFIX

    for name in categorical:
        levels = tables["train"][f"{PREFIX}{name}"]
        numbers = levels[levels != ""].value_counts()
        single = int((numbers == 1).sum())
        if single > MOST_SINGLE * len(levels):
            yield (
                f"metadata column {name!r} has {count(len(numbers), 'level')} in {count(len(levels), 'training case')}, "
                f"{single:,} of them once: a network learns nothing of a level that is in one case. List a number under "
                f"data.metadata.numeric, or remove the column"
            )
        test = tables["test"][f"{PREFIX}{name}"] if "test" in tables else levels[:0]
        unknown = int((~test.isin(numbers.index) & (test != "")).sum())
        if unknown > MOST_UNKNOWN * len(test):
            yield (
                f"metadata column {name!r}: {unknown:,} of {count(len(test), 'test case')} have a level that no training case "
                f"has; a network treats them all alike"
            )


def about_targets(train: pd.DataFrame, inputs: Sequence[str], learnt: Sequence[str]) -> Iterator[str]:
    """Columns that tell the target of every training case.

    Args:
        train: training cases with ``label`` or ``value``, and all metadata columns.
        inputs: names of the columns that networks or steps take.
        learnt: names of auxiliary targets.
    """
    from goldfold.metadata.columns import PREFIX

    for name in dict.fromkeys([*inputs, *learnt]):
        if not _tells(train, train[f"{PREFIX}{name}"]):
            continue
        if name in learnt:
            yield f"train.auxiliary: {name!r} is the target by another name in every training case, and teaches nothing"
        if name in inputs:
            yield (
                f"metadata column {name!r} tells the target of every training case: scores will be perfect if it is known for "
                f"new images too, and mean nothing if it was written down from the target. Remove it in that case"
            )


def _tells(train: pd.DataFrame, column: pd.Series[str]) -> bool:
    """Whether a column tells the target of all cases where it is known: each of its levels has one class, or the numbers are in
    proportion."""
    import numpy as np
    import pandas as pd

    is_known = column != ""
    target = train.get("label", train.get("value"))
    if target is None or is_known.sum() < MOST_SINGLE * len(train) or target[is_known].nunique() < 2:
        return False
    known, of_case = column[is_known], target[is_known]
    if "value" in train:
        values = pd.to_numeric(known, errors="coerce").to_numpy(float)
        together = np.corrcoef(values, of_case.astype(float))[0, 1] if np.ptp(values) > 0 else 0.0
        return bool(abs(together) > SAME)
    levels = known.nunique()
    pairs = len(pd.DataFrame({"level": known, "target": of_case}).drop_duplicates())
    return pairs == levels and levels * FEWEST_OF_LEVEL <= len(known)
