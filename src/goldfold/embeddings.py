"""Embeddings of cases, from the files that the stage embed writes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.predictions.arrays import Arrays, load, rows_of

CASES = "cases"
"""Entry of files whose ``ids`` are those of images, with the case of each, where cases have several images."""


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of cases by id."""

    arrays: Arrays
    """``ids`` (n,) in order, and ``features`` float32 (n, d)."""

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.arrays["features"].shape[1])

    def of(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Return the embeddings (n, d) of cases, in the order of ``ids``.

        Raises:
            DataError: a case has none.
        """
        found: NDArray[np.float32] = self.arrays["features"][rows_of(self.arrays, list(ids))]
        return found


def read(paths: Iterable[str | Path]) -> Embeddings:
    """Read the embeddings of all cases of some files: the mean over their images, which may be in several files.

    Files without images are passed over.
    """
    parts = [part for path in paths if len((part := load(path))["ids"])]
    ids, features = (np.concatenate([part[name] for part in parts]) for name in ("ids", "features"))
    order = np.argsort(ids, kind="stable")
    if CASES not in parts[0]:
        return Embeddings({"ids": ids[order], "features": features[order]})
    return _means(np.concatenate([part[CASES] for part in parts])[order], features[order])


def _means(cases: NDArray[np.str_], features: NDArray[np.float32]) -> Embeddings:
    """Average the features (n, d) of images over their cases (n,)."""
    order = np.argsort(cases, kind="stable")
    names, starts, counts = np.unique(cases[order], return_index=True, return_counts=True)
    sums = np.add.reduceat(features[order], starts, axis=0, dtype=np.float64)
    return Embeddings({"ids": names, "features": (sums / counts[:, None]).astype(np.float32)})


def by_name(names: Mapping[str, str], paths: Iterable[str | Path]) -> dict[str, Embeddings]:
    """Read the embeddings of some models.

    Args:
        names: name of the embeddings, which is that of the folder of their files, by model.
    """
    every = [*paths]
    return {model: read(path for path in every if Path(path).parent.name == name) for model, name in names.items()}
