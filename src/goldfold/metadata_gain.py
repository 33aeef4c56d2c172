"""Gain of metadata columns in an ensemble: its nested score with and without them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from goldfold.ensembling.nested import nested
from goldfold.ensembling.steps import Step
from goldfold.metrics import Evidence, Metric
from goldfold.metrics.paired import gain, resampled
from goldfold.predictions.arrays import Arrays, picked
from goldfold.splits.scored import groups_of
from goldfold.tasks.protocol import Score

N_RESAMPLES = 1000
"""Resamples of cases, or of groups, on which both are scored for the interval of the gain."""


def gain_of_metadata(
    scores: Score,
    steps: Sequence[Step],
    members: Mapping[str, Arrays],
    evidence: Evidence,
    truth: pd.DataFrame,
    metric: Metric,
) -> dict[str, Any]:
    """Return the nested score ``without`` metadata by metric, and the ``gain`` of metadata with its 95 % interval.

    Args:
        steps: the steps of the ensemble without metadata.
        members: out-of-fold predictions by name.
        evidence: nested predictions of the ensemble with metadata.
        truth: id, fold, target and, where there are groups, group of each case.
    """
    plain = scores.evidence(
        nested(steps, members, truth, truth["fold"].astype(int).to_numpy(), metric, picked).predictions, truth
    )
    pair = {"before": plain, "after": evidence}
    drawn, rows = resampled(metric, pair, groups_of(truth), N_RESAMPLES), np.arange(len(truth))
    before, after = (metric.value(one, rows) for one in pair.values())
    found = gain([before], [after], [drawn["before"]], [drawn["after"]], metric.greater_is_better)
    return {"without": {metric.name: before}, "gain": asdict(found)}
