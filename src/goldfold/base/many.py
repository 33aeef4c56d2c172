"""Many classes: above `MOST_LISTED`, tables of images x classes are kept smaller and no table has a column or row per class."""

MOST_LISTED = 1000
"""Most classes whose probabilities are kept in float64, and that have a column or a row each in tables for people."""


def are_many(n_classes: int) -> bool:
    """Return whether there are more classes than `MOST_LISTED`.

    >>> are_many(1000), are_many(1001)
    (False, True)
    """
    return n_classes > MOST_LISTED
