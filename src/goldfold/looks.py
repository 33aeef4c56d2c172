"""Looks at a public score: what the noise of both scores allows, and the luck of the best of several looks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from goldfold import ledger, tasks
from goldfold.base.errors import DataError
from goldfold.bundles.finished import ENSEMBLE, FOLDS, SUBMIT, Finished, finished
from goldfold.metrics.bootstrap import draws
from goldfold.metrics.luck import of_deviations
from goldfold.predictions.arrays import load
from goldfold.splits.scored import groups_of, scored
from goldfold.tables import read_table

if TYPE_CHECKING:
    from goldfold.metrics import Evidence, Metric

MOST_RESAMPLES, FEWEST_RESAMPLES = 1000, 100
MOST_DRAWN_ROWS = 20_000_000
"""Rows that are scored at most, unless the fewest resamples have more."""


@dataclass(frozen=True)
class Noise:
    """Noise of a public score; NaN where it cannot be computed."""

    sd: float
    """Standard deviation of the public score over public parts of that size."""
    low: float
    high: float
    """95 % interval of public minus out-of-fold score, both with their noise, if the images are of one kind."""


def noise(metric: Metric, evidence: Evidence, groups: Sequence[str] | None, n_public: int) -> Noise:
    """Noise of the score of ``n_public`` images, from resamples of the out-of-fold predictions.

    Public and out-of-fold scores are drawn independently, as those of other images. It is the noise of the choice of images:
    it does not contain that test images may be of another kind, or that they are predicted by the models of all folds. It is
    unknown where all resamples have one score: a perfect score says nothing of how many of other images are wrong.
    """
    n = len(evidence)
    n_resamples = min(MOST_RESAMPLES, max(FEWEST_RESAMPLES, MOST_DRAWN_ROWS // (n + n_public)))
    public, oof = (
        np.array([metric.value(evidence, rows) for rows in draws(n, groups, n_resamples, seed, n_drawn)])
        for seed, n_drawn in ((1, n_public), (0, None))
    )
    known = np.isfinite(public) & np.isfinite(oof)
    if known.sum() < FEWEST_RESAMPLES // 2 or not np.ptp(public[known]):
        return Noise(math.nan, math.nan, math.nan)
    low, high = np.quantile(public[known] - oof[known], [0.025, 0.975])
    return Noise(float(np.std(public[known], ddof=1)), float(low), float(high))


class Noisy(Protocol):
    """A score with the standard deviation of its noise."""

    @property
    def metric(self) -> str:
        """Name of the metric."""

    @property
    def noise(self) -> float:
        """Standard deviation; NaN if unknown."""


def luck(looks: Sequence[Noisy]) -> float:
    """Expected gain of the best of several looks over its worth if all are equally good, at most; NaN if noise is unknown.

    That much is expected if the noise of the looks is independent. Submissions are scored on the same images, and what their
    errors have in common cancels, so that it is less for submissions that resemble each other.
    """
    return of_deviations([look.noise for look in looks])


def luck_by_metric(looks: Sequence[Noisy]) -> Iterator[tuple[str, int, float]]:
    """Yield metric, number of looks and `luck` of each metric with several looks whose noise is known."""
    for metric in dict.fromkeys(one.metric for one in looks):
        own = [one for one in looks if one.metric == metric]
        if len(own) > 1 and math.isfinite(gain := luck(own)):
            yield metric, len(own), gain


def _refuse_percent(metric: Metric, public: float) -> None:
    """Raise DataError for a public score above 1 by a metric of goldfold whose larger values are better: all are at most 1."""
    if metric.greater_is_better and public > 1 and ":" not in metric.name:
        raise DataError(f"{metric.name} is at most 1, not {public:g}. If this is a percentage, write {public / 100:g}.")


def look(
    results: str | Path, public: float, share: float | None, note: str = "", earlier: Sequence[ledger.Look] = ()
) -> ledger.Look:
    """Look at the public score of the submission of a finished run.

    Args:
        share: public share of the test images; None: that of the latest of the ``earlier`` looks at them, or else 1.

    Raises:
        DataError: the run is unfinished, has no test images, its submission was edited, or the score is above 1.
    """
    run = finished(results)
    submission = run.submission()
    ids = list(read_table(run.file("folds/test.csv", FOLDS))["id"])
    same = [one.public_share for one in earlier if one.test_set == ledger.test_set(ids)]
    share = share if share is not None else same[-1] if same else 1.0
    metric, evidence, groups = out_of_fold(run)
    _refuse_percent(metric, public)
    score = run.json("metrics.json", ENSEMBLE)["oof"][metric.name]
    if score["value"] is None:
        raise DataError(f"{run.root} has no out-of-fold {metric.name}: its cases cannot be scored (metrics.json).")
    of_public = noise(metric, evidence, groups, max(1, round(share * len(ids))))
    return ledger.Look(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        experiment=run.name,
        metric=metric.name,
        oof=score["value"],
        oof_low=or_nan(score["low"]),
        oof_high=or_nan(score["high"]),
        public=public,
        noise=short(of_public.sd),
        expected_low=short(score["value"] + of_public.low),
        expected_high=short(score["value"] + of_public.high),
        test_images=len(ids),
        public_share=share,
        test_set=ledger.test_set(ids),
        submission=submission,
        note=note,
    )


def out_of_fold(run: Finished) -> tuple[Metric, Evidence, list[str] | None]:
    """Metric of a run, its ensemble's out-of-fold predictions, and the groups of the cases."""
    truth = scored(read_table(run.file("folds/train.csv", FOLDS)))
    scores = tasks.score(run.settings["task"], list(run.json("folds/classes.json", FOLDS)))
    found = load(run.file("ensemble/oof.npz", ENSEMBLE))
    return scores.metric(run.settings["metric"]), scores.evidence(found, truth), groups_of(truth)


def or_nan(value: float | None) -> float:
    """NaN for a number that JSON has no place for."""
    return math.nan if value is None else value


def short(value: float) -> float:
    """Six significant digits: resampled numbers are not more accurate than that."""
    return float(f"{value:.6g}")


def one_run(folder: Path = Path("results"), file: str = SUBMIT, which: str = "whose submission was scored") -> Path:
    """Results folder of the only run that has a ``file``.

    Args:
        which: the run that is asked for, for the error.

    Raises:
        DataError: none has it, or several have.
    """
    found = sorted(folder / path.relative_to(folder).parts[0] for path in folder.glob(f"*/{file}"))
    if len(found) != 1:
        there = f"{len(found)} runs have: {', '.join(map(str, found))}" if found else "no run has"
        raise DataError(f"Name the run {which}, such as results/mine; below {folder}/ {there} one.")
    return found[0]
