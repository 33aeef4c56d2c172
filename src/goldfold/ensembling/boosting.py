"""Stacking by gradient-boosted trees (Friedman 2001), whose trees are kept as plain JSON."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError
from goldfold.ensembling.columns import Array, Targets
from goldfold.ensembling.fold_effects import common, means, numbered, shares
from goldfold.ensembling.stacking import Stacking, cases_of

MOST_TREES = 10_000
"""A step is fitted for a trial before any job, so that a slip of the pen must not take hours there."""


class Boosted:
    """Gradient boosting of scikit-learn from the means or shares of each fold, see `goldfold.ensembling.fold_effects`."""

    indicators = False

    def __init__(self, trees: int, depth: int, rate: float) -> None:
        for name, value, is_good, good in (
            ("trees", trees, 1 <= trees <= MOST_TREES, f"from 1 to {MOST_TREES:,}"),
            ("depth", depth, depth >= 1, "at least 1"),
            ("rate", rate, 0 < rate <= 1, "above 0 and at most 1"),
        ):
            if not is_good:
                raise ConfigError(f"ensemble: boosted_stacking: {name} = {value:g}: must be {good}")
        self.trees, self.depth, self.rate = trees, depth, rate

    def fit(
        self,
        columns: Array,
        target: NDArray[Any],
        is_number: bool,
        n_of_cases: int = 0,
        folds: NDArray[np.int64] | None = None,
    ) -> Any:
        """Return the trees, one list per round with one tree per output."""
        from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

        settings: dict[str, Any] = {
            "n_estimators": self.trees, "max_depth": self.depth, "learning_rate": self.rate, "subsample": 0.8,
            "max_features": "sqrt", "min_samples_leaf": max(1, min(20, len(columns) // 20)), "random_state": 0,
        }  # fmt: skip
        places = numbered(folds, len(target))
        if is_number:
            start = means(target.astype(float)[:, None], places)[places, 0]
            model: Any = GradientBoostingRegressor(init="zero", **settings).fit(
                columns.astype(np.float32), target - start
            )
        else:
            start = shares(target, int(target.max()) + 1, places)
            model = GradientBoostingClassifier(init=_Start(start), **settings).fit(columns.astype(np.float32), target)
        rounds = [[_as_lists(tree.tree_) for tree in one] for one in model.estimators_]
        fitted = {"offset": [0.0] * len(rounds[0]), "rate": self.rate, "rounds": rounds}
        return {**fitted, "offset": common(self.outputs(columns, fitted), target, is_number=is_number).tolist()}

    def outputs(self, columns: Array, fitted: Any) -> Array:
        """Return the sum of the trees (n, outputs)."""
        rows = columns.astype(np.float32)  # trees compare in this precision
        found = np.zeros((len(columns), len(fitted["rounds"][0]))) + np.array(fitted["offset"])
        for one in fitted["rounds"]:
            for place, tree in enumerate(one):
                found[:, place] += fitted["rate"] * _values(rows, tree)
        return found


class _Start:
    """Classifier that gives its own probabilities (n, classes) to the cases that boosting is fitted on."""

    def __init__(self, probabilities: Array) -> None:
        self.probabilities = probabilities

    def fit(self, columns: Any, target: Any, sample_weight: Any = None) -> "_Start":
        """Nothing is fitted."""
        return self

    def predict_proba(self, columns: Any) -> Array:
        """Return the probabilities, whatever the columns."""
        return self.probabilities


def _as_lists(tree: Any) -> dict[str, list[Any]]:
    return {
        "left": tree.children_left.tolist(),
        "right": tree.children_right.tolist(),
        "column": tree.feature.tolist(),
        "threshold": tree.threshold.tolist(),
        "value": tree.value[:, 0, 0].tolist(),
    }


def _values(columns: NDArray[np.float32], tree: dict[str, list[Any]]) -> Array:
    """Value of the leaf (n,) that each row reaches."""
    left, right, column, threshold, value = (
        np.array(tree[name]) for name in ("left", "right", "column", "threshold", "value")
    )
    node, rows = np.zeros(len(columns), dtype=np.int64), np.arange(len(columns))
    while (inner := left[node] >= 0).any():
        at = node[inner]
        goes_left = columns[rows[inner], column[at]] <= threshold[at]
        node[inner] = np.where(goes_left, left[at], right[at])
    return np.asarray(value[node], dtype=float)


def boosted(
    task: Targets,
    workers: int,
    trees: int = 50,
    depth: int = 3,
    rate: float = 0.1,
    metadata: bool | Sequence[str] = False,
    embeddings: bool | Sequence[str] = False,
    components: int = 16,
) -> Stacking:
    """Stacking by gradient-boosted trees.

    Args:
        trees: rounds of boosting; each has one tree per class, or one for two classes and for numbers.
        depth: levels of a tree.
        rate: learning rate.
        metadata: metadata columns beside those of the members: all of ``data.metadata``, or these.
        embeddings: columns of embeddings: of all models with frozen backbones, or of these.
        components: most columns of each embedding, its principal components.
    """
    return Stacking(task, Boosted(trees, depth, rate), cases_of(task, metadata, embeddings, components))
