"""Limits of bootstrap intervals: few independent cases, and metrics that jump. See docs/scores.md."""

import math
from collections.abc import Iterator

FEWEST = 50
"""Fewest independent cases for an interval that can be relied on."""


FEW = 500
"""Scored cases below which a score decides little."""
TYPICAL = 0.9
"""Accuracy for which the noise is given where no score is known."""


def few_cases(n: int, what: str, noise: float = math.nan, metric: str = "") -> str:
    """Sentence on a score of few cases; empty from `FEW` on.

    Args:
        n: scored cases.
        what: plural noun for them, such as ``cases of the holdout``.
        noise: standard deviation of the score; NaN if it is not known.
        metric: name of the metric of ``noise``.

    >>> few_cases(100, "cases of the holdout")[:88]
    '100 cases of the holdout are few: an accuracy of 0.9 has a standard deviation of 0.030, '
    >>> few_cases(500, "cases")
    ''
    """
    if not 0 < n < FEW:
        return ""
    is_known = math.isfinite(noise)
    deviation = noise if is_known else math.sqrt(TYPICAL * (1 - TYPICAL) / n)
    of = f"{metric} has" if is_known else f"an accuracy of {TYPICAL:g} has"
    return (
        f"{n} {what} are few: {of} a standard deviation of {deviation:.3f}, and a difference below {2 * deviation:.3f} cannot be "
        f"told from noise; with {FEW} or more it can be smaller."
    )


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
