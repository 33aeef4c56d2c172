"""From metadata columns to numbers for a network, by the statistics of a fold's training cases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.metadata.columns import PREFIX, Columns, numbers, refuse_lacking

KEY = "metadata"
"""Key of a weights file's header below which the encoder is kept."""
MOST_DEVIATIONS = 1e4
"""Bound of standardised numbers: one mistyped value must not overflow fp16."""
NAMES_SHOWN = 3


@dataclass(frozen=True)
class Encoder:
    """Statistics of the training cases of one fold.

    A case becomes a row of floats: of each numeric column (value - mean) / deviation, 0 where missing; then of each numeric
    column 1 where missing, else 0; then of each categorical column the number of its level from 1, 0 where it is missing or
    not among the training cases.

    >>> train = pd.DataFrame({"meta_age": ["10", "20", ""], "meta_site": ["a", "b", "a"]})
    >>> encoder = Encoder.fit(train, Columns(("age",), ("site",)))
    >>> encoder.encode(pd.DataFrame({"meta_age": ["15", ""], "meta_site": ["b", "new"]})).tolist()
    [[0.0, 0.0, 2.0], [0.0, 1.0, 0.0]]
    """

    numeric: Mapping[str, tuple[float, float]]
    """Mean and standard deviation by column; a deviation of 0 makes all values 0."""
    categorical: Mapping[str, list[str]]
    """Levels by column, sorted; none where the column has one value in all training cases."""

    @classmethod
    def fit(cls, train: pd.DataFrame, columns: Columns) -> Encoder:
        """Encoder by the values of ``train``, labelled training cases alone."""
        numeric = {}
        for name in columns.numeric:
            values = numbers(train, name)
            known = values[~np.isnan(values)]
            mean, deviation = (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)
            if not np.isfinite([mean, deviation]).all():
                raise DataError(f"data.metadata.numeric: numbers of column {name!r} are too large to be standardised.")
            numeric[name] = mean, deviation
        categorical = {}
        for name in columns.categorical:
            texts = train[f"{PREFIX}{name}"]
            categorical[name] = sorted(set(texts) - {""}) if texts.nunique() > 1 else []
        return cls(numeric, categorical)

    @property
    def columns(self) -> Columns:
        """Columns that it takes."""
        return Columns(tuple(self.numeric), tuple(self.categorical))

    @property
    def n_levels(self) -> tuple[int, ...]:
        """Levels of each categorical column."""
        return tuple(map(len, self.categorical.values()))

    @property
    def useless(self) -> list[str]:
        """Columns that have one value in all training cases."""
        constant = [name for name, (_, deviation) in self.numeric.items() if not deviation]
        return [*constant, *(name for name, levels in self.categorical.items() if not levels)]

    def encode(self, table: pd.DataFrame) -> NDArray[np.float32]:
        """Rows (n, columns) for the cases of ``table``, which has the metadata columns as text.

        Raises:
            DataError: a column is missing, or a numeric one holds something else.
        """
        refuse_lacking(table, self.columns, "metadata")
        made, missing, levels = [], [], []
        for name, (mean, deviation) in self.numeric.items():
            values = numbers(table, name)
            scaled = (values - mean) / deviation if deviation else np.zeros(len(values))
            is_missing = np.isnan(values)
            made.append(np.where(is_missing, 0.0, np.clip(scaled, -MOST_DEVIATIONS, MOST_DEVIATIONS)))
            missing.append(is_missing.astype(float))
        for name, known in self.categorical.items():
            of_level = {level: number for number, level in enumerate(known, 1)}
            levels.append([float(of_level.get(text, 0)) for text in table[f"{PREFIX}{name}"]])
        rows = [*made, *missing, *levels]
        return np.array(rows, np.float32).reshape(len(rows), len(table)).T.copy()

    def unseen(self, table: pd.DataFrame) -> list[str]:
        """One line for each categorical column with values that no training case has."""
        lines = []
        for name, known in self.categorical.items():
            texts = table[f"{PREFIX}{name}"]
            odd = texts[~texts.isin([*known, ""])]
            if known and len(odd):
                first = ", ".join(map(repr, sorted(set(odd))[:NAMES_SHOWN]))
                lines.append(f"metadata {name!r}: {len(odd)} of {len(table)} values unseen in training, e.g. {first}")
        return lines

    def to_header(self) -> dict[str, str]:
        """Entries for the header of a weights file."""
        return {
            KEY: json.dumps({"numeric": dict(self.numeric), "categorical": dict(self.categorical)}, sort_keys=False)
        }

    @classmethod
    def from_header(cls, header: Mapping[str, str] | None, path: Any) -> Encoder:
        """Encoder of the header of a weights file.

        Raises:
            DataError: there is none.
        """
        try:
            found = json.loads((header or {})[KEY])
            numeric = {
                str(name): (float(mean), float(deviation)) for name, (mean, deviation) in found["numeric"].items()
            }
            return cls(
                numeric, {str(name): [str(one) for one in levels] for name, levels in found["categorical"].items()}
            )
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path} holds no statistics of metadata columns, though its network takes metadata. Train again."
            ) from error
