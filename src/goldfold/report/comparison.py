"""The ensemble against its best member, and the luck of the best of several members."""

from dataclasses import dataclass

import numpy as np

from goldfold.config.ablation import variants
from goldfold.drawing.words import score
from goldfold.metrics.bootstrap import quantiles
from goldfold.metrics.luck import of_resamples
from goldfold.planning.runs import Member
from goldfold.predictions.resampled import Drawn
from goldfold.report.limits import independent
from goldfold.report.results import ENSEMBLE, Results


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


def find(results: Results, drawn: Drawn) -> Comparison | None:
    """Compare the ensemble with its best member.

    Variants of an ablation are not compared. None with fewer than two members, or without resamples.

    Args:
        drawn: scores of members and ensemble on the same resampled images (or groups).
    """
    names = compared(results, drawn)
    if len(names) < 2 or ENSEMBLE not in drawn:
        return None
    low, high = quantiles(drawn[ENSEMBLE] - drawn[names[0]], independent(results.truth, results.row)[0])
    sign = 1 if results.greater_is_better else -1
    luck = of_resamples(sign * np.array([drawn[name] for name in names]))
    return Comparison(names[0], len(names), low, high, len(drawn[ENSEMBLE]), luck)


def compared(results: Results, drawn: Drawn) -> list[str]:
    """Members by score, the best first, without variants of an ablation; empty if one has no resampled scores."""
    seeds = results.settings["seeds"]
    apart = {ENSEMBLE, *(Member(model, seed).name for model in variants(results.settings) for seed in seeds)}
    names = [name for name in results.leaderboard["member"] if name not in apart]
    return names if {*names} <= {*drawn} else []


def luck_in_words(compared: Comparison | None, row: str) -> str:
    """Sentences on the best of the members; empty if its luck is not known."""
    if compared is None or not np.isfinite(compared.by_chance):
        return ""
    return (
        f"Best of {compared.n_members} members: if all were equally good, the best of them would still be expected to score "
        f"{score(compared.by_chance)} better than it is, by the choice of {row}s alone (the largest deviation of a member from "
        f"its own mean, averaged over {compared.n_resamples} resamples on which all are scored). A smaller lead means nothing."
    )
