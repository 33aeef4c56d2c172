"""Submissions of points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from goldfold import components
from goldfold.tasks.points.arrays import by_image, decided
from goldfold.tasks.points.learn import CENTRE
from goldfold.tasks.points.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays
    from goldfold.submission.form import Form


class Submit:
    """Submissions with one row per point, or one per image."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes = spec, spec.classes

    def form(
        self, sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any], metric: components.Written
    ) -> Form:
        """Return the columns, see `goldfold.submission.points.form`."""
        from goldfold.submission import points

        return points.form(self.classes, sample, where, settings, self.spec.rows)

    def submission(self, predictions: Arrays, form: Form) -> pd.DataFrame:
        """Return the points that reach their threshold; in columns by class the best point, whatever its score."""
        from goldfold.submission import points

        spec, ids = self.spec, predictions["ids"].tolist()
        kind = points.kind_of(form.columns, spec.classes, "submission", "auto")
        found = by_image(predictions) if kind == "columns" else decided(predictions, spec.threshold)
        shift = spec.pixel_centre - CENTRE
        return points.table(found, ids, spec.classes, spec.point_fields, kind, shift, form)
