"""Metrics, and how sure one can be of them. Each kind of prediction has a module of them."""

from goldfold.metrics.bootstrap import Score
from goldfold.metrics.metric import Evidence, Metric, build, score

__all__ = ["Evidence", "Metric", "Score", "build", "score"]
