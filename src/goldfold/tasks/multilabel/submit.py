"""Submissions of sets of labels or probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from goldfold import components
from goldfold.tasks.multilabel.output import probabilities, thresholds
from goldfold.tasks.multilabel.score import Score
from goldfold.tasks.multilabel.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays
    from goldfold.submission.form import Form


class Submit:
    """Submissions with the labels of an image in one cell, or one column per class."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def form(
        self, sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any], metric: components.Written
    ) -> Form:
        """Return the columns: id and labels; or id and every class."""
        from goldfold.submission import label_sets

        of_labels = Score(self.spec).metric(metric).of_labels
        return label_sets.form(self.spec.classes, self.spec.label_separator, sample, where, settings, of_labels, metric)

    def submission(self, predictions: Arrays, form: Form) -> pd.DataFrame:
        """Return a table with the labels of an image in one cell, or one column per class."""
        from goldfold.submission import label_sets

        values, ids, spec = probabilities(predictions), predictions["ids"].tolist(), self.spec
        return label_sets.table(values, ids, spec.classes, form, thresholds(spec, predictions), spec.label_separator)
