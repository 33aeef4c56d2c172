"""A small network of one hidden layer."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.counter import counter
from goldfold.base.errors import ConfigError
from goldfold.heads.components import Components
from goldfold.heads.protocol import LABEL, LABELS, SMALLEST, VALUE, Array, Predict, log_odds, loss, spread_out

BATCH_SIZE = 128
PATIENCE = 3
"""Epochs without a smaller loss after which no more are tried."""


@dataclass(frozen=True)
class Mlp:
    """Multi-layer perceptron of scikit-learn, trained with Adam on principal components, for a chosen number of epochs."""

    target: str
    n_outputs: int
    hidden: int
    epochs: int
    lr: float
    penalty: float
    components: int

    def choose(self, features: Array, target: NDArray[Any], held: Array, truth: NDArray[Any]) -> int:
        """Return the number of epochs with the least loss on the held cases."""
        model, classes, least, chosen = self._model(0, 1), self._classes(target), np.inf, 1
        if self.target == LABEL and len(np.unique(target)) < 2:
            return 1
        reduced = Components.fit(features, self.components)
        features, held = reduced(features), reduced(held)
        for epoch in range(1, self.epochs + 1):
            with warnings.catch_warnings(action="ignore"):
                model.partial_fit(features, target, **({} if classes is None else {"classes": classes}))
            value = loss(self.outputs(model, held), truth, self.target)
            if value < least:
                least, chosen = value, epoch
            if epoch - chosen >= PATIENCE:
                break
        return chosen

    def fit(self, features: Array, target: NDArray[Any], chosen: int, seeds: Sequence[int]) -> Iterator[Predict]:
        """Yield the network after the chosen number of epochs."""
        if self.target == LABEL and len(seen := np.unique(target)) < 2:
            yield from repeat(OneClass(int(seen[0]), self.n_outputs), len(seeds))
            return
        reduced = Components.fit(features, self.components)
        columns = reduced(features)
        for seed in seeds:
            model = self._model(seed, chosen)
            with warnings.catch_warnings(action="ignore"):  # that the number of epochs is a limit
                model.fit(columns, target)
            yield Fitted(self, model, reduced)

    def _model(self, seed: int, epochs: int) -> Any:
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        make: Any = MLPRegressor if self.target == VALUE else MLPClassifier
        return make(
            hidden_layer_sizes=(self.hidden,), alpha=self.penalty, batch_size=BATCH_SIZE, learning_rate_init=self.lr,
            max_iter=epochs, tol=0, n_iter_no_change=epochs + 1, random_state=counter("head", "mlp", seed) % 2**32,
        )  # fmt: skip

    def _classes(self, target: NDArray[Any]) -> NDArray[Any] | None:
        """Return what `partial_fit` must be told of the classes."""
        # of one label per image scikit-learn asks for both its values, of several for their numbers
        return {LABEL: np.unique(target), LABELS: np.arange(max(2, self.n_outputs))}.get(self.target)

    def outputs(self, model: Any, rows: Array) -> NDArray[np.float64]:
        """Return the outputs (n, outputs) of a network for principal components."""
        if self.target == VALUE:
            return np.asarray(model.predict(rows), dtype=np.float64)[:, None]
        found = np.asarray(model.predict_proba(rows), dtype=np.float64)
        if self.target == LABELS:
            return log_odds(found.reshape(len(rows), -1)[:, -self.n_outputs :])
        return spread_out(np.log(np.maximum(found, SMALLEST)), model.classes_, self.n_outputs)


@dataclass(frozen=True)
class Fitted:
    """A trained network on principal components."""

    head: Mlp
    model: Any
    reduced: Components

    def __call__(self, rows: Array) -> NDArray[np.float64]:
        """Return the outputs (n, outputs)."""
        return self.head.outputs(self.model, self.reduced(rows))


@dataclass(frozen=True)
class OneClass:
    """The only class of all training cases."""

    number: int
    n_outputs: int

    def __call__(self, rows: Array) -> NDArray[np.float64]:
        """Return the outputs (n, outputs)."""
        return spread_out(np.zeros((len(rows), 1)), np.array([self.number]), self.n_outputs)


def mlp(
    target: str,
    n_outputs: int,
    hidden: int = 128,
    epochs: int = 30,
    lr: float = 3e-3,
    penalty: float = 1e-4,
    components: int = 128,
) -> Mlp:
    """Network with one hidden layer; the number of epochs is chosen within the training rows of each fold.

    Args:
        hidden: units of the hidden layer.
        epochs: most epochs.
        lr: learning rate of Adam.
        penalty: of the squared weights.
        components: most principal components of the training rows of the fold that the network sees.
    """
    for name, value, is_good in (
        ("hidden", hidden, hidden >= 1), ("epochs", epochs, epochs >= 1), ("lr", lr, lr > 0), ("penalty", penalty, penalty >= 0),
        ("components", components, components >= 1),
    ):  # fmt: skip
        if not is_good:
            raise ConfigError(
                f"head mlp: {name} = {value:g}: must be {'at least 1' if isinstance(value, int) else 'above 0'}"
            )
    return Mlp(target, n_outputs, hidden, epochs, lr, penalty, components)
