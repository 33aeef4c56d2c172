"""The score in one sentence: whether the ensemble gains, and which randomness is the larger."""

from collections.abc import Mapping

import numpy as np

from goldfold.drawing.words import score
from goldfold.report.comparison import Comparison
from goldfold.report.results import Results

Scores = Mapping[str, Mapping[int, float]]
"""Score by member and fold."""


def spreads(results: Results, folds: Scores) -> tuple[float, float]:
    """Standard deviations of a member's score between folds, and between seeds on the same fold, means over members.

    Folds that cannot be scored are left out.

    Returns:
        NaN where unknown: with one fold or one seed, or if predictions are no longer on disk.
    """
    of = {
        name: np.array([scores[fold] for fold in sorted(scores)])
        for name, scores in folds.items()
        if name in results.members
    }
    known = [scores[np.isfinite(scores)] for scores in of.values()]
    between_folds = [float(np.std(scores, ddof=1)) for scores in known if len(scores) > 1]
    seeds, between_seeds = results.settings["seeds"], []
    for model in results.models:
        scored = [of[name] for seed in seeds if (name := f"{model}-seed{seed}") in of]
        if len(scored) == len(seeds) > 1:
            deviations = np.std(scored, axis=0, ddof=1)
            between_seeds += (
                [float(np.mean(deviations[np.isfinite(deviations)]))] if np.isfinite(deviations).any() else []
            )
    return _mean(between_folds), _mean(between_seeds)


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def sentence(results: Results, folds: Scores, compared: Comparison | None) -> str:
    """One sentence on the gain of the ensemble and on the spread of scores; empty if neither is known."""
    between_folds, between_seeds = spreads(results, folds)
    parts = [_of_ensemble(results, compared), _of_spread(between_folds, between_seeds, len(results.settings["seeds"]))]
    said = "; ".join(filter(None, parts))
    return f"{said[0].upper()}{said[1:]}." if said else ""


def _of_ensemble(results: Results, compared: Comparison | None) -> str:
    if compared is None or not results.is_ensemble or not np.isfinite(compared.low):
        return ""
    ends = (compared.low, compared.high) if results.greater_is_better else (-compared.high, -compared.low)
    if ends[0] > 0:
        return f"the ensemble is better than its best member, {compared.best}, by more than noise"
    if ends[1] < 0:
        return f"the ensemble is worse than its best member, {compared.best}, by more than noise"
    return f"the ensemble and its best member, {compared.best}, cannot be distinguished"


def _of_spread(between_folds: float, between_seeds: float, n_seeds: int) -> str:
    if n_seeds == 1:
        return "with one seed, the randomness of training is unknown"
    if not (np.isfinite(between_folds) and np.isfinite(between_seeds)):
        return ""
    said = (
        f"a member's score varies by {score(between_seeds)} between seeds and by {score(between_folds)} between folds"
    )
    if between_seeds < between_folds:
        return f"{said}, so the choice of images matters more than the randomness of training"
    return f"{said}, so the randomness of training matters at least as much as the choice of images"
