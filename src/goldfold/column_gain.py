"""Gain of columns of the cases, metadata or embeddings, in an ensemble: its nested score with and without them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.ensembling.nested import nested
from goldfold.ensembling.steps import Step
from goldfold.metrics import Evidence, Metric, resampling
from goldfold.metrics.bootstrap import independent
from goldfold.metrics.paired import gain
from goldfold.predictions.arrays import Arrays, picked
from goldfold.splits.scored import groups_of
from goldfold.tasks.protocol import Score


def gain_of_columns(
    scores: Score,
    steps: Sequence[Step],
    members: Mapping[str, Arrays],
    evidence: Evidence,
    drawn: NDArray[np.float64],
    truth: pd.DataFrame,
    metric: Metric,
) -> dict[str, Any]:
    """Return the nested score ``without`` the columns by metric, and their ``gain`` with its 95 % interval.

    Args:
        steps: the steps of the ensemble without the columns.
        members: out-of-fold predictions by name.
        evidence: nested predictions of the ensemble with them.
        drawn: its scores of resamples, see `goldfold.metrics.resampling.drawn`.
        truth: id, fold, target and, where there are groups, group of each case.
    """
    plain = scores.evidence(
        nested(steps, members, truth, truth["fold"].astype(int).to_numpy(), metric, picked).predictions, truth
    )
    rows = np.arange(len(truth))
    before, after = metric.value(plain, rows), metric.value(evidence, rows)
    groups = groups_of(truth)
    without = resampling.drawn(metric, plain, groups, len(drawn))
    found = gain([before], [after], [without], [drawn], independent(len(truth), groups), metric.greater_is_better)
    return {"without": {metric.name: before}, "gain": asdict(found)}
