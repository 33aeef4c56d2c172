"""Scores of predicted numbers against true ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold import catalog, components
from goldfold.tasks.regression.spec import Spec
from goldfold.tasks.regression.target import numbers

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.metrics import Metric
    from goldfold.metrics.regression import Valued
    from goldfold.predictions.arrays import Arrays


class Score:
    """Scores of numbers."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def evidence(self, predictions: Arrays, truth: pd.DataFrame, targets: Any = None) -> Valued:
        """Pair predicted numbers with the true ones."""
        from goldfold.metrics.regression import Valued
        from goldfold.predictions.arrays import rows_of

        return Valued(predictions["values"][rows_of(predictions, list(truth["id"]))], numbers(truth))

    def metric(self, wanted: components.Written) -> Metric:
        """Build a metric of the config."""
        from goldfold import metrics

        return metrics.build(wanted, catalog.METRICS["value"])

    def by_class(self, evidence: Valued) -> pd.DataFrame:
        """Return per bin of the true number: images, root mean squared error and mean error."""
        import pandas as pd

        from goldfold.targets.bins import edges_of, place_in

        places, errors = place_in(evidence.truth, edges_of(self.classes)), evidence.predicted - evidence.truth
        rows = []
        for place in range(len(self.classes)):
            of_bin = errors[places == place]
            scores = (np.sqrt((of_bin**2).mean()), of_bin.mean()) if len(of_bin) else (np.nan, np.nan)
            rows.append((len(of_bin), *map(float, scores)))
        return pd.DataFrame(rows, index=self.classes, columns=["images", "rmse", "mean_error"])
