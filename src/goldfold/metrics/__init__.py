"""Metrics, and how sure one can be of them. Each kind of prediction has a module with its METRICS."""

from goldfold.metrics.bootstrap import Score
from goldfold.metrics.metric import Evidence, Metric, score

__all__ = ["Evidence", "Metric", "Score", "score"]
