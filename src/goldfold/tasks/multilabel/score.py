"""Scores of probabilities against sets of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold import catalog, components
from goldfold.tasks.multilabel.output import probabilities, thresholds
from goldfold.tasks.multilabel.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.metrics import Metric
    from goldfold.metrics.multilabel import MultiLabelled
    from goldfold.predictions.arrays import Arrays


class Score:
    """Scores of sets of labels."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes = spec, spec.classes

    def evidence(self, predictions: Arrays, truth: pd.DataFrame, targets: Any = None) -> MultiLabelled:
        """Pair probabilities with the true labels."""
        from goldfold.metrics.multilabel import MultiLabelled
        from goldfold.targets.label_sets import indicators

        ids, true = list(truth["id"]), indicators(truth["labels"], self.classes)
        return MultiLabelled(probabilities(predictions, ids), true, thresholds(self.spec, predictions, ids))

    def metric(self, wanted: components.Written) -> Metric:
        """Build a metric of the config."""
        from goldfold import metrics

        return metrics.build(wanted, catalog.METRICS["labels"])

    def by_class(self, evidence: MultiLabelled) -> pd.DataFrame:
        """Return images, precision, recall, F1, area under the ROC curve and average precision per class."""
        import pandas as pd

        from goldfold.metrics.ranking import average_precision, roc_area

        hits, predicted, n = evidence.counts()
        pairs = list(zip(evidence.probabilities.T, (evidence.truth == 1).T, strict=True))
        with np.errstate(invalid="ignore"):
            columns = {"images": n, "precision": hits / predicted, "recall": hits / n, "f1": 2 * hits / (predicted + n)}
        columns["roc_auc"] = np.array([roc_area(*pair) for pair in pairs])
        columns["average_precision"] = np.array([average_precision(*pair) for pair in pairs])
        return pd.DataFrame(columns, index=self.classes)
