"""Order of the rows of tables by class."""

import pandas as pd

LONG = 15
"""Rows from which on a table is read from its top alone."""


def worst_first(by_class: pd.DataFrame, score: str) -> pd.DataFrame:
    """Classes with the lowest score first where there are many, those without a score last; else as they are."""
    if len(by_class) <= LONG:
        return by_class
    return by_class.sort_values(score, kind="stable", na_position="last")


def order_in_words(n: int, score: str) -> str:
    """Sentence on the order of a table of ``n`` classes; empty where it is the order of the classes."""
    return f" The {n:,} classes are listed by {score}, the worst first." if n > LONG else ""
