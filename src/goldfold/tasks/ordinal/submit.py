"""Submissions of grades or probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from goldfold import components
from goldfold.tasks.classification.submit import Submit as Labels
from goldfold.tasks.ordinal.score import Score
from goldfold.tasks.ordinal.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays
    from goldfold.submission.form import Form


class Submit:
    """Submissions with a label column or one column per class."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.labels = spec, Labels(spec.labels)

    def form(
        self, sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any], metric: components.Written
    ) -> Form:
        """Return the columns: id and label, or id and every class."""
        from goldfold.submission import labels

        return labels.form(
            self.spec.classes, sample, where, settings, Score(self.spec).metric(metric).of_labels, metric
        )

    def submission(self, predictions: Arrays, form: Form) -> pd.DataFrame:
        """Return a table with a label column or one column per class."""
        return self.labels.submission(predictions, form)
