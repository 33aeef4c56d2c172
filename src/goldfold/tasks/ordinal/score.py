"""Scores of probabilities against ordered labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goldfold import catalog, components
from goldfold.tasks.classification.score import Score as Labels
from goldfold.tasks.ordinal.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.metrics import Metric
    from goldfold.metrics.classification import Labelled
    from goldfold.predictions.arrays import Arrays


class Score:
    """Scores of one ordered label per image."""

    def __init__(self, spec: Spec) -> None:
        self.labels = Labels(spec.labels)

    def evidence(self, predictions: Arrays, truth: pd.DataFrame, targets: Any = None) -> Labelled:
        """Pair probabilities with the labels."""
        return self.labels.evidence(predictions, truth, targets)

    def metric(self, wanted: components.Written) -> Metric:
        """Build a metric of the config."""
        from goldfold import metrics

        return metrics.build(wanted, catalog.METRICS["order"])

    def by_class(self, evidence: Labelled) -> pd.DataFrame:
        """Return images, precision, recall, F1, area under the ROC curve, and mean distance of the predicted class, per class."""
        import numpy as np

        away = np.abs(evidence.chosen - evidence.labels)
        found = self.labels.by_class(evidence)
        of_class = [away[evidence.labels == place] for place in range(len(found))]
        return found.assign(mae=[one.mean() if len(one) else np.nan for one in of_class])
