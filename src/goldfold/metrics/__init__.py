"""Metrics with bootstrap intervals, with a module per kind of prediction."""

from goldfold.metrics.bootstrap import Score
from goldfold.metrics.metric import Evidence, Metric, build
from goldfold.metrics.resampling import score

__all__ = ["Evidence", "Metric", "Score", "build", "score"]
