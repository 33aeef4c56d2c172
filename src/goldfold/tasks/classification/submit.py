"""Submissions of labels or probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from goldfold import components
from goldfold.tasks.classification.output import chosen_classes, probabilities
from goldfold.tasks.classification.score import Score
from goldfold.tasks.classification.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays
    from goldfold.submission.form import Form


class Submit:
    """Submissions with a label column, one column per class, or a single probability."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes = spec, spec.classes

    def form(
        self, sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any], metric: components.Written
    ) -> Form:
        """Return the columns: id and label; id and every class; or, for two classes, id and one probability."""
        from goldfold.submission import labels

        return labels.form(self.classes, sample, where, settings, Score(self.spec).metric(metric).of_labels, metric)

    def refuse_doubts(self, named: Sequence[str] | None, metric: components.Written, form: Form | None) -> None:
        """Refuse an unknown class order if grades or a single probability are scored."""
        from goldfold.targets.classes import refuse_unordered

        is_single = form is not None and form.keys is not None and not form.as_labels and len(form.columns) == 2
        one_probability = is_single and form is not None and form.columns[1] not in self.classes
        refuse_unordered(self.classes, named, metric, one_probability)

    def submission(self, predictions: Arrays, form: Form) -> pd.DataFrame:
        """Return a table with a label column, one column per class, or a single probability."""
        from goldfold.submission import labels

        values, ids = probabilities(predictions), predictions["ids"].tolist()
        return labels.table(values, ids, self.classes, form, chosen_classes(predictions))
