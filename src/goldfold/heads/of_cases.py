"""Embeddings of cases as columns of a stack: principal components of the cases that the stack is fitted to."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from goldfold.embeddings import Embeddings
from goldfold.heads.components import Components
from goldfold.heads.fitting import Standard

MOST_ROWS = 10_000
"""Most cases that components are computed from, every n-th of more."""
LEAST = 1e-4
"""Components whose deviation is a smaller share of the largest are rounding errors, and become 0."""
BLOCK = 4096
"""Cases whose components are computed at a time."""


@dataclass(frozen=True)
class EmbeddedCases:
    """Embeddings of cases by frozen backbones, looked up by id.

    ``fitted`` in the methods is what `fit` returns: by model the mean of its embeddings, and components of the same deviation
    whose variances sum to 1, as text of base64 of little-endian float32. So a penalty weighs an embedding like one column.

    >>> features = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    >>> cases = EmbeddedCases({"dino": Embeddings({"ids": np.array(["a", "b", "c", "d"]), "features": features})}, 2)
    >>> fitted = cases.fit(["a", "b", "c"])
    >>> cases.rows(["a", "d"], fitted).shape, cases.rows(["a", "b", "c"], fitted).std(axis=0).astype(float).round(3).tolist()
    ((2, 2), [0.707, 0.707])
    """

    known: Mapping[str, Embeddings]
    """By name of the model."""
    n_components: int = 16
    """Most columns of each model."""

    def only(self, names: bool | Sequence[str], n_components: int) -> EmbeddedCases:
        """Return the embeddings of some models, of all if ``names`` is True, with at most so many columns each."""
        known = self.known if names is True else {name: self.known[name] for name in names or ()}
        return EmbeddedCases(known, n_components)

    def fit(self, ids: Sequence[str]) -> Any:
        """Return the components of these cases alone."""
        some = list(ids[:: max(1, -(-len(ids) // MOST_ROWS))])
        with threadpool_limits(1):  # so that digits do not depend on the number of cores
            return {name: _fitted(one.of(some), self.n_components) for name, one in self.known.items()}

    def rows(self, ids: Sequence[str], fitted: Any) -> NDArray[np.float32]:
        """Return the components (n, columns) of cases."""
        return np.concatenate([_applied(one, ids, fitted[name]) for name, one in self.known.items()], axis=1)

    def columns(self, rows: NDArray[np.float32], fitted: Any, indicators: bool) -> NDArray[np.float64]:
        """Return the rows; components are numbers."""
        return rows.astype(np.float64)


def _fitted(features: NDArray[np.float32], n_components: int) -> dict[str, str]:
    standard = Standard.fit(features)
    found = Components.fit(standard(features), n_components)
    spread = found(standard(features)).std(axis=0, dtype=np.float64)
    is_kept = spread > LEAST * max(spread.max(initial=0), LEAST)
    scale = np.where(is_kept, 1 / np.where(is_kept, spread, 1), 0) / np.sqrt(max(1, is_kept.sum()))
    centre = standard.centre + found.centre * standard.spread
    return {"centre": _text(centre), "axes": _text(found.axes / standard.spread * scale[:, None])}


def _applied(known: Embeddings, ids: Sequence[str], fitted: Mapping[str, str]) -> NDArray[np.float32]:
    centre, axes = _numbers(fitted["centre"]), _numbers(fitted["axes"]).reshape(-1, known.width)
    found = np.empty((len(ids), len(axes)), np.float32)
    for start in range(0, len(ids), BLOCK):
        block = slice(start, start + BLOCK)
        found[block] = (known.of(ids[block]) - centre) @ axes.T
    return found


def _text(numbers: NDArray[Any]) -> str:
    return b64encode(np.ascontiguousarray(numbers, dtype="<f4").tobytes()).decode()


def _numbers(text: str) -> NDArray[np.float32]:
    return np.frombuffer(b64decode(text), dtype="<f4")
