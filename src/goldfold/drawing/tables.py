"""Order of rows in tables by class."""

import pandas as pd

from goldfold.base.many import are_many

LONG = 15
"""Number of rows above which a table is sorted, since only its top is read."""
MOST_SHOWN = 50
"""Rows of a table of more than `goldfold.base.many.MOST_LISTED` classes."""


def worst_first(by_class: pd.DataFrame, score: str) -> pd.DataFrame:
    """Sort classes by score, the lowest first and those without a score last; few stay in their order.

    Of more than `goldfold.base.many.MOST_LISTED` classes, the first `MOST_SHOWN` are returned.
    """
    if len(by_class) <= LONG:
        return by_class
    ordered = by_class.sort_values(score, kind="stable", na_position="last")
    return ordered[:MOST_SHOWN] if are_many(len(by_class)) else ordered


def order_in_words(n: int, score: str) -> str:
    """Sentence on the order of a table of ``n`` classes, and on how many are shown; empty if it is the order of the classes."""
    if are_many(n):
        return f" The {MOST_SHOWN} of {n:,} classes with the worst {score} are listed; all are under classes in metrics.json."
    return f" The {n:,} classes are listed by {score}, the worst first." if n > LONG else ""
