"""Metadata of cases by id, for steps of the ensemble that learn from them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.metadata.columns import PREFIX, Columns, refuse_lacking
from goldfold.metadata.encoder import KEY, Encoder
from goldfold.tables import read_table

MOST_LEVELS = 256
"""Levels of a categorical column with statistics of their own, the most frequent ones; all others count as unknown."""


@dataclass(frozen=True)
class OfCases:
    """Metadata columns of cases, looked up by id.

    ``fitted`` in the methods is what `fit` returns: the statistics of an `Encoder` as plain JSON.

    >>> table = pd.DataFrame({"id": ["x", "y", "z"], "meta_age": ["10", "20", ""], "meta_site": ["a", "b", "a"]})
    >>> cases = OfCases(table, Columns(("age",), ("site",)))
    >>> fitted = cases.fit(["x", "y"])
    >>> cases.columns(cases.rows(["z"], fitted), fitted, indicators=True).tolist()
    [[0.0, 1.0, 1.0, 0.0]]
    """

    table: pd.DataFrame
    """id, and a column ``meta_<name>`` of text for each column; each case once."""
    known: Columns

    def only(self, names: Sequence[str]) -> OfCases:
        """Return the same cases with some of the columns."""
        kinds = (tuple(name for name in kind if name in names) for kind in (self.known.numeric, self.known.categorical))
        return replace(self, known=Columns(*kinds))

    def fit(self, ids: Sequence[str]) -> Any:
        """Return the statistics of the columns over these cases alone."""
        table = self.of(ids)
        encoder = Encoder.fit(table, self.known)
        levels = {name: _most_frequent(table[f"{PREFIX}{name}"], known) for name, known in encoder.categorical.items()}
        return json.loads(replace(encoder, categorical=levels).to_header()[KEY])

    def rows(self, ids: Sequence[str], fitted: Any) -> NDArray[np.float32]:
        """Return the encoded cases (n, columns), see `Encoder`."""
        return encoder_of(fitted).encode(self.of(ids))

    def columns(self, rows: NDArray[np.float32], fitted: Any, indicators: bool) -> NDArray[np.float64]:
        """Return columns (n, columns) of encoded cases for a model.

        Args:
            indicators: one column of 0 and 1 per level of a categorical column, all 0 if it is unknown or missing; otherwise
                one column with the number of the level, counted from 1.
        """
        levels = [*encoder_of(fitted).n_levels]
        n_numbers = rows.shape[1] - len(levels)
        if not indicators:
            return rows.astype(np.float64)
        each = [rows[:, n_numbers + place, None] == np.arange(1, n + 1) for place, n in enumerate(levels)]
        return np.concatenate([rows[:, :n_numbers], *each], axis=1).astype(np.float64)

    def of(self, ids: Sequence[str]) -> pd.DataFrame:
        """Return the rows of cases, in the order of ``ids``.

        Raises:
            DataError: a case has no metadata.
        """
        wanted = pd.Index(ids, dtype=object)
        places = pd.Index(self.table["id"], dtype=object).get_indexer(wanted)
        if (places < 0).any():
            raise DataError(f"no metadata of case {wanted[places < 0][0]!r}. Remove folds/run.json to list it again.")
        return self.table.iloc[places].reset_index(drop=True)


def encoder_of(fitted: Any) -> Encoder:
    """Return the encoder whose statistics `OfCases.fit` returned."""
    return Encoder.from_header({KEY: json.dumps(fitted)}, "ensemble/fitted.json")


def read(lists: Iterable[str], kinds: Mapping[str, Sequence[str]]) -> OfCases:
    """Read the metadata of all cases in some lists, of which several may have the same case.

    Args:
        kinds: names of the columns, ``numeric`` and ``categorical``.

    Raises:
        DataError: a list lacks a column.
    """
    columns = Columns.of(kinds)
    parts: list[pd.DataFrame] = []
    seen: set[str] = set()
    for path in lists:
        table = read_table(path)
        refuse_lacking(table, columns, path)
        parts.append(table.loc[~table["id"].isin(seen), ["id", *columns.in_tables]])
        seen |= set(parts[-1]["id"])
    return OfCases(pd.concat(parts, ignore_index=True), columns)


def _most_frequent(texts: pd.Series[str], levels: Sequence[str]) -> list[str]:
    """Return at most `MOST_LEVELS` levels, sorted; of equally frequent ones the first."""
    counts = texts.value_counts().to_dict()
    return sorted(sorted(levels, key=lambda level: (-counts[level], level))[:MOST_LEVELS])
