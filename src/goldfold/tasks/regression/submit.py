"""Submissions of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold import components
from goldfold.base.errors import DataError
from goldfold.tasks.regression.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays
    from goldfold.submission.form import Form


class Submit:
    """Submissions with one number per image."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def form(
        self, sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any], metric: components.Written
    ) -> Form:
        """Return the columns: id and number."""
        from goldfold.submission.form import Form

        if sample is None:
            return Form([settings["id_column"], settings["label_column"]])
        columns = [str(column) for column in sample.columns]
        if len(columns) != 2:
            raise DataError(f"{where}: has the columns {', '.join(columns)}; one number per image needs two columns.")
        return Form(columns, keys=[(str(id),) for id in sample.iloc[:, 0]])

    def refuse_doubts(self, named: Sequence[str] | None, metric: components.Written, form: Form | None) -> None:
        """Refuse grades that are not integers."""
        from goldfold.targets.bins import edges_of

        edges = edges_of(self.classes) if metric == "quadratic_kappa" else np.zeros(0)
        if (wrong := edges[edges != np.round(edges)]).size:
            raise DataError(
                f"metric quadratic_kappa needs integer grades, but there are targets such as {wrong[0]:g}. Use rmse."
            )

    def submission(self, predictions: Arrays, form: Form) -> pd.DataFrame:
        """Return a table with the number of each image."""
        import pandas as pd

        return pd.DataFrame({form.columns[0]: predictions["ids"], form.columns[1]: predictions["values"]})
