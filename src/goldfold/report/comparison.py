"""The ensemble against its best member, and the luck of the best of several members."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.config.ablation import variants
from goldfold.drawing.words import score
from goldfold.metrics.paired import resampled
from goldfold.planning.runs import Member
from goldfold.report.results import ENSEMBLE, Results
from goldfold.splits.scored import groups_of

MOST_RESAMPLES, FEWEST_RESAMPLES = 300, 100
MOST_DRAWN_ROWS = 4_000_000
"""Rows that are scored at most: resamples x predictions x images."""


@dataclass(frozen=True)
class Comparison:
    """Scores of the members and of the ensemble on the same resamples."""

    best: str
    """Member with the best score."""
    n_members: int
    """Number of members that it is the best of."""
    low: float
    high: float
    """95 % bootstrap interval of the ensemble's score minus the best member's; NaN if no resample could be scored."""
    n_resamples: int
    by_chance: float
    """Expected gain of the best of these members if all were equally good, at least 0; NaN if it is not known."""


def find(results: Results) -> Comparison | None:
    """Compare the ensemble with its best member, both scored on the same resampled images (or groups).

    Variants of an ablation are not compared. None with fewer than two members, if predictions are no longer on disk, or if
    there are too many images for enough resamples.
    """
    seeds = results.settings["seeds"]
    apart = {ENSEMBLE, *(Member(model, seed).name for model in variants(results.settings) for seed in seeds)}
    names = [name for name in results.leaderboard["member"] if name not in apart]
    if len(names) < 2 or not set(names) <= set(results.members):
        return None
    fit = [MOST_DRAWN_ROWS // (len(results.truth) * n) for n in (len(names) + 1, 2)]
    chosen = names if fit[0] >= FEWEST_RESAMPLES else names[:1]
    n_resamples = min(MOST_RESAMPLES, fit[0] if chosen == names else fit[1])
    if n_resamples < FEWEST_RESAMPLES:
        return None
    evidence = {ENSEMBLE: results.evidence, **{name: results.member_evidence[name] for name in chosen}}
    drawn = resampled(results.chosen_metric, evidence, groups_of(results.truth), n_resamples)
    low, high = _interval(drawn[ENSEMBLE] - drawn[names[0]])
    sign = 1 if results.greater_is_better else -1
    luck = gain_by_chance(sign * np.array([drawn[name] for name in names])) if chosen == names else float("nan")
    return Comparison(names[0], len(names), low, high, n_resamples, luck)


def _interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    finite = differences[np.isfinite(differences)]
    low, high = np.quantile(finite, [0.025, 0.975]) if len(finite) else (float("nan"),) * 2
    return float(low), float(high)


def gain_by_chance(drawn: NDArray[np.float64]) -> float:
    """Expected gain of the best of several members that are equally good, over what they are worth.

    The deviations of each member's resampled scores from their mean are its noise; the result is the mean over the resamples
    of the largest of them. Members are scored on the same resamples, so what their errors have in common cancels. It is the
    noise of the choice of images; that of the training is part of what a member is.

    Args:
        drawn: scores (members, resamples), larger is better.

    Returns:
        NaN if fewer than two resamples could be scored.

    >>> gain_by_chance(np.array([[0.5, 0.7, 0.6], [0.5, 0.7, 0.6]]))
    0.0
    """
    known = drawn[:, np.isfinite(drawn).all(axis=0)]
    if known.shape[1] < 2:
        return float("nan")
    deviations = known - known.mean(axis=1, keepdims=True)
    return max(0.0, round(float(deviations.max(axis=0).mean()), 12))


def luck_in_words(compared: Comparison | None, row: str) -> str:
    """Sentences on the best of the members; empty if its luck is not known."""
    if compared is None or not np.isfinite(compared.by_chance):
        return ""
    return (
        f"Best of {compared.n_members} members: if all were equally good, the best of them would still be expected to score "
        f"{score(compared.by_chance)} better than it is, by the choice of {row}s alone (the largest deviation of a member from "
        f"its own mean, averaged over {compared.n_resamples} resamples on which all are scored). A smaller lead means nothing."
    )
