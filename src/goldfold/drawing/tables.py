"""Order of rows in tables by class."""

import pandas as pd

LONG = 15
"""Number of rows above which a table is sorted, since only its top is read."""


def worst_first(by_class: pd.DataFrame, score: str) -> pd.DataFrame:
    """Sort many classes by score, the lowest first and those without a score last; few stay in their order."""
    if len(by_class) <= LONG:
        return by_class
    return by_class.sort_values(score, kind="stable", na_position="last")


def order_in_words(n: int, score: str) -> str:
    """Sentence on the order of a table of ``n`` classes; empty if it is the order of the classes."""
    return f" The {n:,} classes are listed by {score}, the worst first." if n > LONG else ""
