"""Scores of predicted points against true ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goldfold import catalog, components
from goldfold.tasks.points.arrays import by_image, thresholds
from goldfold.tasks.points.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.metrics import Metric
    from goldfold.metrics.matched_points import Evidence
    from goldfold.predictions.arrays import Arrays


def paired(spec: Spec, predictions: Arrays, truth: pd.DataFrame) -> Evidence:
    """Pair the predicted points of the images of ``truth`` with the true ones, in pixels of the images."""
    from goldfold.metrics.matched_points import compare
    from goldfold.predictions.arrays import rows_of

    ids = list(truth["id"])
    true, found = [spec.points(text) for text in truth["points"]], by_image(predictions, ids)
    sizes, levels = predictions["sizes"][rows_of(predictions, ids)], thresholds(predictions, spec.threshold, ids)
    return compare(true, found, sizes, len(spec.classes), levels, spec.distance_px)


class Score:
    """Scores of points."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes = spec, spec.classes

    def evidence(self, predictions: Arrays, truth: pd.DataFrame, targets: Any = None) -> Evidence:
        """See `paired`."""
        return paired(self.spec, predictions, truth)

    def metric(self, wanted: components.Written) -> Metric:
        """Build a metric of the config."""
        from goldfold import metrics

        return metrics.build(wanted, catalog.METRICS["points"])

    def by_class(self, evidence: Evidence) -> pd.DataFrame:
        """Return images and points with the class, predicted points, precision, recall, F1, AP and count error, per class."""
        import pandas as pd

        from goldfold.metrics.points import by_class

        return pd.DataFrame(by_class(evidence), index=self.classes)
