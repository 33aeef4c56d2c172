"""Scores of predicted boxes against true ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goldfold import catalog, components
from goldfold.tasks.detection.boxes import by_image
from goldfold.tasks.detection.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.metrics import Metric
    from goldfold.metrics.detection import Evidence
    from goldfold.predictions.arrays import Arrays


class Score:
    """Scores of boxes."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes = spec, spec.classes

    def evidence(self, predictions: Arrays, truth: pd.DataFrame, targets: Any = None) -> Evidence:
        """Match boxes at COCO's IoU thresholds, in pixels of the images."""
        from goldfold.metrics.detection import compare

        true = [self.spec.boxes(text) for text in truth["boxes"]]
        return compare(true, by_image(predictions, list(truth["id"])), len(self.classes), self.spec.max_detections)

    def metric(self, wanted: components.Written) -> Metric:
        """Build a metric of the config."""
        from goldfold import metrics

        return metrics.build(wanted, catalog.METRICS["boxes"])

    def by_class(self, evidence: Evidence) -> pd.DataFrame:
        """Return objects, detections, AP, AP50, AP75, and precision and recall at the best threshold, per class."""
        import pandas as pd

        from goldfold.metrics.detection import by_class

        return pd.DataFrame(by_class(evidence), index=self.classes)
