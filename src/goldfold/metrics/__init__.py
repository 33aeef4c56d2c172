"""Metrics by name, and how sure one can be of them."""

from goldfold.metrics.bootstrap import Score, score
from goldfold.metrics.classification import METRICS, Metric, build

__all__ = ["METRICS", "Metric", "Score", "build", "score"]
