"""Predicted numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold import catalog, components
from goldfold.tasks.regression.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays


class Output:
    """Predictions have ``values`` float64 (n,), in units of the target, and ``spreads`` float64 (n,), the standard
    deviation over views and members in the same units, 0 for a single one. Those of networks also have ``scales`` float64
    (n,), the spread of their training targets.
    """

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def join(self, parts: Sequence[Arrays]) -> Arrays:
        """Concatenate the parts, ordered by id."""
        from goldfold.predictions.arrays import disjoint

        order, ids = disjoint(parts, self.classes)
        found = (np.concatenate([part[key] for part in parts])[order] for key in keys_of(parts))
        return arrays(self.classes, ids, *found)

    def fuse(
        self, members: Sequence[Arrays], weights: Sequence[float], workers: int = 1, method: components.Written = "mean"
    ) -> Arrays:
        """Align members on id and fuse them; the spread is that of all their views together."""
        from goldfold.predictions.arrays import common_ids, rows_of

        ids = common_ids(members, self.classes)
        rows = [rows_of(member, ids.tolist()) for member in members]
        stack, spreads, *scales = (
            np.stack([member[key][own] for member, own in zip(members, rows, strict=True)]) for key in keys_of(members)
        )
        around = (stack - np.average(stack, axis=0, weights=weights)) ** 2
        spread = np.sqrt(np.average(spreads**2 + around, axis=0, weights=weights))
        return arrays(
            self.classes,
            ids,
            components.load(method, catalog.ENSEMBLES["value"], "ensemble method")(stack, weights),
            spread,
            *(np.average(own, axis=0, weights=weights) for own in scales),
        )

    def pseudo_labels(self, predictions: Arrays, threshold: float) -> pd.DataFrame:
        """Return numbers on which models, seeds and views agree.

        ``confidence`` is 1 - their spread relative to that of the training targets of the fold.
        """
        import pandas as pd

        confidence = np.clip(1 - predictions["spreads"] / predictions["scales"], 0, 1)
        values = [f"{value:.9g}" for value in predictions["values"]]
        table = pd.DataFrame({"id": predictions["ids"], "value": values, "confidence": confidence})
        return table[confidence >= threshold].sort_values("id").reset_index(drop=True)


class Tables:
    """Predictions as a table."""

    def __init__(self, spec: Spec) -> None:
        pass

    def table(self, predictions: Arrays) -> pd.DataFrame:
        """Return id, predicted number, the spread of views and members, and both ends of the interval if there is one."""
        import pandas as pd

        columns = {"id": predictions["ids"], "predicted": predictions["values"], "spread": predictions["spreads"]}
        ends = {name: predictions[name] for name in ("lower", "upper") if name in predictions}
        return pd.DataFrame({**columns, **ends}).round({"spread": 6})


def keys_of(parts: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Names of the arrays that all parts have; predictions of other tools have no ``scales``."""
    return ("values", "spreads", *["scales"] * all("scales" in part for part in parts))


def arrays(
    classes: Sequence[str],
    ids: NDArray[Any],
    values: NDArray[Any],
    spreads: NDArray[Any],
    scales: NDArray[Any] | None = None,
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a prediction file."""
    named = {"ids": np.array(ids, dtype=str), "classes": np.array(classes)}
    more = {} if scales is None else {"scales": scales.astype(np.float64)}
    return {**named, "values": values.astype(np.float64), "spreads": spreads.astype(np.float64), **more}
