"""Resamples that the metric cannot score."""

from collections.abc import Iterator

import numpy as np

from goldfold.drawing.blocks import Note
from goldfold.predictions import resampled
from goldfold.predictions.resampled import Drawn
from goldfold.report.results import ENSEMBLE, Results

LARGEST_SHARE = 0.03
"""Share of resamples without a score that an interval bears: about what lies beyond each of its ends."""


def notes(results: Results) -> Iterator[Note]:
    """Warn of an interval from which many resamples are left out."""
    yield from of_resamples(resampled.read(results.root / "ensemble"), results.metric, results.row)


def of_resamples(drawn: Drawn, metric: str, row: str) -> Iterator[Note]:
    """Warn if more than `LARGEST_SHARE` of the ensemble's resamples have no score."""
    values = drawn.get(ENSEMBLE, np.zeros(0))
    n_left_out = int((~np.isfinite(values)).sum())
    if n_left_out <= LARGEST_SHARE * len(values):
        return
    yield Note(
        "warn",
        f"{n_left_out / len(values):.1%} of the resamples have no score",
        f"{metric} cannot be computed for {n_left_out:,} of {len(values):,} resamples, as where a class is missing in them. They "
        f"are left out, so that the interval is only that of resamples with enough {row}s of each class, and too narrow. Do not "
        f"rely on it: collect more {row}s of the rarest class, or choose another metric.",
    )
