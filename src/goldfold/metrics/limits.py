"""Limits of bootstrap intervals: few independent cases, and metrics that jump. See docs/scores.md."""

from collections.abc import Iterator

FEWEST = 50
"""Fewest independent cases for an interval that can be relied on."""


def of_interval(n: int, what: str, metric: str) -> Iterator[str]:
    """Sentences on why an interval says less than it seems to; none if nothing is against it.

    Args:
        n: independent cases: groups, if there are groups.
        what: plural noun for them.
        metric: name of the metric.
    """
    if n < FEWEST:
        yield f"An interval from fewer than {FEWEST} independent {what} ({n} here) is too narrow."
    if is_coarse(metric):
        yield f"{metric} takes few different values over resamples, so its interval is coarse."


def is_coarse(metric: str) -> bool:
    """Return whether a metric is named as a median.

    >>> is_coarse("median_error"), is_coarse("mae")
    (True, False)
    """
    return "median" in metric
