"""Scores of one prediction by every metric of its task, each with its interval."""

import numpy as np
import pandas as pd

from goldfold.metrics import Evidence, Metric, score
from goldfold.splits.scored import groups_of
from goldfold.tasks.facts import Facts
from goldfold.tasks.protocol import Score

RESAMPLES_ASIDE = 200
"""Resamples for the intervals of metrics other than the one that counts: one of COCO's takes milliseconds."""


def every_metric(
    facts: Facts,
    scores: Score,
    evidence: Evidence,
    truth: pd.DataFrame,
    metric: Metric,
    known: dict[str, float] | None = None,
) -> dict[str, dict[str, float]]:
    """Score by all metrics, ``metric`` first.

    A metric of grades is left out unless it is the one that counts, which is how a config declares classes to be grades;
    numbers are grades where they are integers. Evidence may name further metrics of the task, ``also_reported``.

    Args:
        known: score by ``metric``, as of `scored_by`, where it was computed before.
    """
    names = (*facts.reported, *getattr(evidence, "also_reported", ()))
    others = [scores.metric(name) for name in names if name != metric.name]
    return {
        metric.name: scored_by(evidence, truth, metric) if known is None else known,
        **{
            one.name: scored_by(evidence, truth, one, RESAMPLES_ASIDE)
            for one in others
            if not _needs_grades(facts, evidence, one)
        },
    }


def scored_by(evidence: Evidence, truth: pd.DataFrame, metric: Metric, n_resamples: int = 1000) -> dict[str, float]:
    """Value by one metric, with the ends of its interval by cases, or by groups if there are groups."""
    return score(metric, evidence, groups_of(truth), n_resamples).as_dict()


def _needs_grades(facts: Facts, evidence: Evidence, one: Metric) -> bool:
    if not one.of_grades or facts.is_ordered:
        return False
    return facts.target == "label" or not np.isfinite(one.value(evidence, np.arange(len(evidence))))
