"""Interface of heads, and code that several of them share."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

Array = NDArray[np.float32]
Predict = Callable[[Array], NDArray[np.float64]]
"""Embeddings (n, d) -> logits (n, outputs), or scaled numbers (n, 1)."""
LABEL, LABELS, VALUE = "label", "labels", "value"
"""Kinds of targets: class indices (n,); 0 or 1 of each label (n, labels); scaled numbers (n,)."""
TEXTS = "texts"
"""Parameter of a head that goldfold sets to the `Texts` of the classes."""
SMALLEST = 1e-12
"""Probabilities of one label count as at least this before their logarithm."""
LEAST = 1e-6
"""Probabilities count as at least this."""


class Head(Protocol):
    """A model of targets by embeddings whose columns are standardised over the rows that it is fitted to.

    It is built by a function of the kind of target and the number of outputs, besides the parameters of the config. One with the
    attribute ``takes_raw`` gets the embeddings as they are.
    """

    def choose(self, features: Array, target: NDArray[Any], held: Array, truth: NDArray[Any]) -> Any:
        """Return the strength, as plain JSON, whose fit to ``features`` (n, d) and ``target`` predicts ``held`` (m, d) best.

        Args:
            truth: targets of ``held``.
        """

    def fit(self, features: Array, target: NDArray[Any], chosen: Any, seeds: Sequence[int]) -> Iterator[Predict]:
        """Yield a fit to all training rows of a fold with each seed, with a strength that `choose` returned."""


class Texts(Protocol):
    """Texts as classes, for heads with a parameter `TEXTS`."""

    names: Sequence[str]
    """Names of the classes."""

    def classes(self, prompts: Sequence[Sequence[str]]) -> tuple[NDArray[np.float64], float]:
        """Return an embedding of length 1 for the texts of each class (classes, d), and the factor of cosines in logits."""


def loss(outputs: NDArray[np.float64], truth: NDArray[Any], target: str) -> float:
    """Return the mean log loss of logits (n, outputs), or the mean squared error of numbers (n, 1)."""
    if target == VALUE:
        return float(np.mean((outputs[:, 0] - truth) ** 2))
    if target == LABELS:
        return float(np.mean(np.logaddexp(0, outputs) - outputs * truth))
    return -float(np.mean(log_softmax(outputs, axis=1)[np.arange(len(truth)), truth]))


def spread_out(values: NDArray[np.float64], classes: NDArray[Any], n_outputs: int) -> NDArray[np.float64]:
    """Return logits (n, n_outputs) from those (n, classes) of the classes that were seen; others are very improbable."""
    logs = np.full((len(values), n_outputs), np.log(LEAST))
    logs[:, classes.astype(int)] = log_softmax(values, axis=1)
    return logs


def log_odds(positive: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logits of probabilities."""
    clipped = np.clip(positive, LEAST, 1 - LEAST)
    return np.asarray(np.log(clipped / (1 - clipped)))


def best(strengths: list[Any], tried: Callable[[Any], float]) -> Any:
    """Return the strength with the least loss; the search ends when the loss rises, since each step costs more than the last.

    >>> best([1, 2, 3, 4], lambda strength: (strength - 2) ** 2)
    2
    """
    found, least = strengths[0], np.inf
    for strength in strengths:
        value = tried(strength)
        if not value < least:
            break
        found, least = strength, value
    return found
