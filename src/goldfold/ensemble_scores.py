"""Files of the ensemble's scores: by round, as the leaderboard, and by metric."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goldfold.base.files import write_json, write_text
from goldfold.metrics import Metric

OPTIMISTIC = "optimistic"
"""Name of the score of steps that were fitted on the scored images."""


def write_rounds(
    folder: Path, leaderboard: Path, rows: list[dict[str, Any]], parts: Mapping[str, Any], metric: Metric, last: int
) -> pd.DataFrame:
    """Write the scores of all rounds, and as the leaderboard those of the last one, best first; return the latter."""
    scores = _beside(pd.DataFrame(rows), parts, metric.name)
    write_text(folder / "rounds.csv", scores.to_csv(index=False))
    of_last = scores[scores["round"] == last]
    best_first = of_last.sort_values(metric.name, ascending=not metric.greater_is_better, kind="stable")
    write_text(leaderboard, best_first.to_csv(index=False))
    print(best_first.to_string(index=False), flush=True)
    return of_last


def write_scores(
    metrics: Path, headline: Path, about: dict[str, Any], parts: Mapping[str, dict[str, Any]], more: dict[str, Any]
) -> None:
    """Write all scores to ``metrics``, and those by the metric that counts to ``headline``.

    Args:
        about: ``task`` and ``metric``, the one that counts.
        parts: scores by metric for each part of the data.
        more: scores of members and classes.
    """
    write_json(metrics, {**about, **parts, **more})
    metric = about["metric"]
    write_json(headline, {**about, **{part: {metric: entries[metric]} for part, entries in parts.items()}})


def _beside(scores: pd.DataFrame, parts: Mapping[str, Any], metric: str) -> pd.DataFrame:
    """Add the optimistic score to the row of the last round's ensemble, which is the last row."""
    if OPTIMISTIC not in parts:
        return scores
    return scores.assign(**{OPTIMISTIC: [np.nan] * (len(scores) - 1) + [parts[OPTIMISTIC][metric]["value"]]})


def of_members(last: pd.DataFrame, metric: str) -> dict[str, Any]:
    """Return the score of each member with its interval, from the rows of the last round."""
    return {
        row["member"]: {metric: {"value": row[metric], "low": row["low"], "high": row["high"]}}
        for row in last.to_dict("records")
        if row["member"] != "ensemble"
    }
