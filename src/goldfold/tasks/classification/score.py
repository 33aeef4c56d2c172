"""Scores of probabilities against labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold import catalog, components
from goldfold.tasks.classification.output import probabilities, thresholds
from goldfold.tasks.classification.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.metrics import Metric
    from goldfold.metrics.classification import Labelled
    from goldfold.predictions.arrays import Arrays


class Score:
    """Scores of one label per image."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def evidence(self, predictions: Arrays, truth: pd.DataFrame, targets: Any = None) -> Labelled:
        """Pair probabilities with the labels."""
        from goldfold.metrics.classification import Labelled

        index = {name: number for number, name in enumerate(self.classes)}
        labels = np.array([index[label] for label in truth["label"]], dtype=np.int64)
        ids = list(truth["id"])
        return Labelled(probabilities(predictions, ids), labels, thresholds(predictions, ids))

    def metric(self, wanted: components.Written) -> Metric:
        """Build a metric of the config."""
        from goldfold import metrics

        return metrics.build(wanted, catalog.METRICS["label"])

    def by_class(self, evidence: Labelled) -> pd.DataFrame:
        """Return images, precision, recall, F1, and area under the ROC curve against the other classes, per class."""
        import pandas as pd
        from sklearn.metrics import precision_recall_fscore_support

        from goldfold.metrics.areas import class_areas

        precision, recall, f1, n = precision_recall_fscore_support(
            evidence.labels, evidence.chosen, labels=range(len(self.classes)), zero_division=np.nan
        )
        areas = class_areas(evidence.probabilities, evidence.labels)
        columns = {"images": n, "precision": precision, "recall": recall, "f1": f1, "roc_auc": areas}
        return pd.DataFrame(columns, index=self.classes)
