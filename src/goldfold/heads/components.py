"""Principal components of embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DIGITS = 6
"""Digits of a component that decide its sign."""


@dataclass(frozen=True)
class Components:
    """Principal components of some rows, applied to any."""

    centre: NDArray[np.float64]
    """(d,)."""
    axes: NDArray[np.float64]
    """(k, d), each with the sign that makes its largest entry positive."""

    @classmethod
    def fit(cls, rows: NDArray[np.float32], n_components: int) -> Components:
        """Return the components of rows (n, d) with the largest variance, at most as many as there are rows or columns."""
        centre = rows.mean(axis=0, dtype=np.float64)
        centred = rows - centre
        n, width = centred.shape
        most = min(n_components, n, width)
        gram = centred.T @ centred if width <= n else centred @ centred.T
        leading = np.linalg.eigh(gram)[1][:, ::-1][:, :most]
        if width <= n:
            axes = leading.T
        else:  # of the same components, by the smaller matrix
            found = leading.T @ centred
            lengths = np.linalg.norm(found, axis=1, keepdims=True)
            axes = found / np.where(lengths > 0, lengths, 1)
        largest = np.abs(axes).round(DIGITS).argmax(axis=1)
        return cls(centre, axes * np.sign(axes[np.arange(len(axes)), largest])[:, None])

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the components (n, k) of rows (n, d)."""
        return np.asarray((rows - self.centre) @ self.axes.T, dtype=np.float32)
