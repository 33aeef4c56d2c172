"""A small network of one hidden layer."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.counter import counter
from goldfold.base.errors import ConfigError
from goldfold.heads.protocol import LABEL, LABELS, VALUE, Array, Predict, log_odds, loss, spread_out

BATCH_SIZE = 128
PATIENCE = 3
"""Epochs without a smaller loss after which no more are tried."""
LEAST = 1e-12


@dataclass(frozen=True)
class Mlp:
    """Multi-layer perceptron of scikit-learn, trained with Adam for a chosen number of epochs."""

    target: str
    n_outputs: int
    hidden: int
    epochs: int
    lr: float
    penalty: float

    def choose(self, features: Array, target: NDArray[Any], held: Array, truth: NDArray[Any]) -> int:
        """Return the number of epochs with the least loss on the held cases."""
        model, classes, least, chosen = self._model(0, 1), self._classes(target), np.inf, 1
        if classes is not None and len(classes) < 2:
            return 1
        for epoch in range(1, self.epochs + 1):
            with warnings.catch_warnings(action="ignore"):
                model.partial_fit(features, target, **({} if classes is None else {"classes": classes}))
            value = loss(self._outputs(model, held), truth, self.target)
            if value < least:
                least, chosen = value, epoch
            if epoch - chosen >= PATIENCE:
                break
        return chosen

    def fit(self, features: Array, target: NDArray[Any], chosen: int, seed: int) -> Predict:
        """Return the network after the chosen number of epochs."""
        if self.target == LABEL and len(seen := np.unique(target)) < 2:
            return lambda rows: spread_out(np.zeros((len(rows), 1)), seen, self.n_outputs)
        model = self._model(seed, chosen)
        with warnings.catch_warnings(action="ignore"):  # that the number of epochs is a limit
            model.fit(features, target)
        return lambda rows: self._outputs(model, rows)

    def _model(self, seed: int, epochs: int) -> Any:
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        make: Any = MLPRegressor if self.target == VALUE else MLPClassifier
        return make(
            (self.hidden,), alpha=self.penalty, batch_size=BATCH_SIZE, learning_rate_init=self.lr, max_iter=epochs, tol=0,
            n_iter_no_change=epochs + 1, random_state=counter("head", "mlp", seed) % 2**32,
        )  # fmt: skip

    def _classes(self, target: NDArray[Any]) -> NDArray[Any] | None:
        """Return what `partial_fit` must be told of the classes."""
        return {LABEL: np.unique(target), LABELS: np.arange(self.n_outputs)}.get(self.target)

    def _outputs(self, model: Any, rows: Array) -> NDArray[np.float64]:
        if self.target == VALUE:
            return np.asarray(model.predict(rows), dtype=np.float64)[:, None]
        found = np.asarray(model.predict_proba(rows), dtype=np.float64)
        if self.target == LABELS:
            return log_odds(found.reshape(len(rows), -1)[:, -self.n_outputs :])
        return spread_out(np.log(np.maximum(found, LEAST)), model.classes_, self.n_outputs)


def mlp(
    target: str, n_outputs: int, hidden: int = 128, epochs: int = 30, lr: float = 1e-3, penalty: float = 1e-4
) -> Mlp:
    """Network with one hidden layer; the number of epochs is chosen within the training rows of each fold.

    Args:
        hidden: units of the hidden layer.
        epochs: most epochs.
        lr: learning rate of Adam.
        penalty: of the squared weights.
    """
    for name, value, is_good in (
        ("hidden", hidden, hidden >= 1), ("epochs", epochs, epochs >= 1), ("lr", lr, lr > 0), ("penalty", penalty, penalty >= 0),
    ):  # fmt: skip
        if not is_good:
            raise ConfigError(
                f"head mlp: {name} = {value:g}: must be {'at least 1' if isinstance(value, int) else 'above 0'}"
            )
    return Mlp(target, n_outputs, hidden, epochs, lr, penalty)
