"""Where an interval or a pooled score says less than it seems to."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from goldfold.drawing.blocks import Note
from goldfold.drawing.words import score
from goldfold.metrics.limits import FEWEST, is_coarse, of_interval
from goldfold.report.results import Results


def notes(results: Results) -> Iterator[Note]:
    """Warn of intervals from few independent cases, and of intervals of medians."""
    n, what = independent(results.truth, results.row)
    if n < FEWEST:
        yield Note(
            "warn",
            f"The score is of {n} {what} only",
            f"Intervals from fewer than {FEWEST} independent {what} are too narrow more often than one time in twenty, and "
            f"differences between recipes cannot be seen. Repeat with other folds and seeds, or collect more.",
        )
    if is_coarse(results.metric):
        yield Note(
            "info",
            "The interval of a median is coarse",
            f"{results.metric} takes few different values over resamples, so that its bootstrap interval may be too narrow or "
            f"too wide. Compare recipes by a mean, such as mae.",
        )


def independent(truth: pd.DataFrame, row: str) -> tuple[int, str]:
    """Number of independent cases and the noun for them: groups, if there are groups."""
    return (truth["group"].nunique(), f"groups of {row}s") if "group" in truth else (len(truth), f"{row}s")


def in_words(results: Results) -> str:
    """Sentences on the limits of the intervals of the out-of-fold scores, for the places where these are shown."""
    return " ".join(of_interval(*independent(results.truth, results.row), results.metric))


def pooled_in_words(results: Results, folds: Mapping[str, Mapping[int, float]]) -> str:
    """Compare the score of all folds together with the mean over folds, for metrics that compare cases; else empty."""
    values = [value for value in folds.get(results.whole_name, {}).values() if np.isfinite(value)]
    if not results.chosen_metric.compares_cases or len(values) < 2:
        return ""
    whole = float(results.metrics["oof"][results.metric]["value"])
    return (
        f" {results.metric} compares predictions of different {results.row}s, also of different folds, whose networks may differ "
        f"in scale: it is {score(whole)} over all folds together (the headline) and {score(float(np.mean(values)))} as the mean "
        f"within folds."
    )
