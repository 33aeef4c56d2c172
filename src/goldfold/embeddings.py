"""Embeddings of cases, from the files that the stage embed writes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.predictions.arrays import Arrays, load, rows_of


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
    """Read the embeddings of all cases of some files; files without cases are passed over."""
    parts = [part for path in paths if len((part := load(path))["ids"])]
    ids = np.concatenate([part["ids"] for part in parts])
    order = np.argsort(ids, kind="stable")
    return Embeddings({"ids": ids[order], "features": np.concatenate([part["features"] for part in parts])[order]})


def by_name(names: Mapping[str, str], paths: Iterable[str | Path]) -> dict[str, Embeddings]:
    """Read the embeddings of some models.

    Args:
        names: name of the embeddings, which is that of the folder of their files, by model.
    """
    every = [*paths]
    return {model: read(path for path in every if Path(path).parent.name == name) for model, name in names.items()}
