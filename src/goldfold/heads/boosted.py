"""Gradient-boosted trees on principal components of embeddings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.counter import counter
from goldfold.base.errors import ConfigError
from goldfold.heads.components import Components
from goldfold.heads.protocol import LABEL, LABELS, SMALLEST, VALUE, Array, Predict, log_odds, loss, spread_out

SHARE = 0.5
"""Share of the columns that each split looks at: the reason why seeds differ, and trees are less alike."""
Models = list[tuple[Any, NDArray[Any]]]
"""Fitted models, None where all targets are the same, with their targets: one model for one label or a number, one by label for
sets of labels."""


@dataclass(frozen=True)
class Boosted:
    """Histogram gradient boosting of scikit-learn: one model for one label or a number, one by label for sets of labels."""

    target: str
    n_outputs: int
    trees: int
    depth: int
    rate: float
    components: int

    def choose(self, features: Array, target: NDArray[Any], held: Array, truth: NDArray[Any]) -> int:
        """Return the number of trees with the least loss on the held cases."""
        reduced = Components.fit(features, self.components)
        models = [self._fitted(reduced(features), own, self.trees, 0) for own in self._targets(target)]
        stages = [
            [*self._staged(model, own, reduced(held))] for model, own in zip(models, self._targets(target), strict=True)
        ]
        n = max(map(len, stages))  # a constant label has one stage
        joined = (self._joined([one[min(place, len(one) - 1)] for one in stages]) for place in range(n))
        losses = [loss(outputs, truth, self.target) for outputs in joined]
        return int(np.argmin(losses)) + 1

    def fit(self, features: Array, target: NDArray[Any], chosen: int, seeds: Sequence[int]) -> Iterator[Predict]:
        """Yield the trees of the chosen number of rounds."""
        reduced = Components.fit(features, self.components)
        columns, targets = reduced(features), self._targets(target)
        for seed in seeds:
            yield Fitted(self, [(self._fitted(columns, own, chosen, seed), own) for own in targets], reduced)

    def predicted(self, models: Models, columns: Array) -> NDArray[np.float64]:
        """Return the outputs (n, outputs) of all models for principal components."""
        return self._joined([self._outputs(model, own, columns) for model, own in models])

    def _targets(self, target: NDArray[Any]) -> list[NDArray[Any]]:
        return [*target.T] if self.target == LABELS else [target]

    def _fitted(self, columns: Array, target: NDArray[Any], trees: int, seed: int) -> Any:
        """Fit a model; None if all targets are the same."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        if self.target != VALUE and len(np.unique(target)) < 2:
            return None
        make: Any = HistGradientBoostingRegressor if self.target == VALUE else HistGradientBoostingClassifier
        model = make(
            learning_rate=self.rate, max_iter=trees, max_depth=self.depth, max_leaf_nodes=None, early_stopping=False,
            max_features=SHARE, max_bins=63, min_samples_leaf=max(1, min(20, len(columns) // 20)),
            random_state=counter("head", "boosted", seed) % 2**32,
        )  # fmt: skip
        return model.fit(columns, target)

    def _staged(self, model: Any, target: NDArray[Any], columns: Array) -> Any:
        """Yield the outputs (n, outputs) after each round."""
        if model is None:
            yield self._outputs(model, target, columns)
        elif self.target == VALUE:
            yield from (values[:, None] for values in model.staged_predict(columns))
        else:
            yield from (self._of_classes(found, model.classes_) for found in model.staged_predict_proba(columns))

    def _outputs(self, model: Any, target: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.float64]:
        """Return the outputs (n, outputs) of one model; of a constant target where there is none."""
        if model is None:
            return self.constant(target, len(columns))
        if self.target == VALUE:
            return np.asarray(model.predict(columns), dtype=np.float64)[:, None]
        return self._of_classes(model.predict_proba(columns), model.classes_)

    def _of_classes(self, found: NDArray[np.float64], classes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the logits of probabilities (n, classes that were seen)."""
        if self.target == LABELS:
            return log_odds(found[:, 1:])
        return spread_out(np.log(np.maximum(found, SMALLEST)), classes, self.n_outputs)

    def constant(self, target: NDArray[Any], n: int) -> NDArray[np.float64]:
        """Return the outputs (n, outputs) where all targets are the same."""
        if self.target == LABEL:
            return spread_out(np.zeros((n, 1)), target[:1], self.n_outputs)
        share = (float(target.sum()) + 0.5) / (len(target) + 1)
        return np.full((n, 1), np.log(share / (1 - share)))

    def _joined(self, parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class Fitted:
    """Trees on principal components."""

    head: Boosted
    models: Models
    reduced: Components

    def __call__(self, rows: Array) -> NDArray[np.float64]:
        """Return the outputs (n, outputs)."""
        return self.head.predicted(self.models, self.reduced(rows))


def boosted(
    target: str, n_outputs: int, trees: int = 40, depth: int = 3, rate: float = 0.2, components: int = 32
) -> Boosted:
    """Gradient boosting on principal components; the number of trees is chosen within the training rows of each fold.

    Args:
        trees: most rounds of boosting; each has one tree per class, or one for two classes and for numbers.
        depth: levels of a tree.
        rate: learning rate.
        components: principal components of the training rows of the fold that trees see.
    """
    for name, value, is_good, good in (
        ("trees", trees, trees >= 1, "at least 1"), ("depth", depth, depth >= 1, "at least 1"),
        ("rate", rate, 0 < rate <= 1, "above 0 and at most 1"), ("components", components, components >= 1, "at least 1"),
    ):  # fmt: skip
        if not is_good:
            raise ConfigError(f"head boosted: {name} = {value:g}: must be {good}")
    return Boosted(target, n_outputs, trees, depth, rate, components)
