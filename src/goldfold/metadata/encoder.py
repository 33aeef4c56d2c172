"""Encoding of metadata columns as numbers, with statistics of a fold's training cases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.base.spread import differs
from goldfold.metadata.columns import PREFIX, Columns, numbers, refuse_lacking

KEY = "metadata"
"""Key of the encoder in the header of a weights file."""
MOST_DEVIATIONS = 1e4
"""Largest absolute value of a standardised number, so that one mistyped value does not overflow fp16."""
NAMES_SHOWN = 3


@dataclass(frozen=True)
class Encoder:
    """Statistics of the training cases of one fold.

    Each case is encoded as a row of floats: for each numeric column (value - mean) / deviation, 0 if missing; for each
    numeric column 1 if missing, else 0; for each categorical column the index of its level, counted from 1, and 0 if the
    level is missing or does not occur in the training cases.

    >>> train = pd.DataFrame({"meta_age": ["10", "20", ""], "meta_site": ["a", "b", "a"]})
    >>> encoder = Encoder.fit(train, Columns(("age",), ("site",)))
    >>> encoder.encode(pd.DataFrame({"meta_age": ["15", ""], "meta_site": ["b", "new"]})).tolist()
    [[0.0, 0.0, 2.0], [0.0, 1.0, 0.0]]
    """

    numeric: Mapping[str, tuple[float, float]]
    """Mean and standard deviation by column; if the deviation is 0, all values are encoded as 0."""
    categorical: Mapping[str, list[str]]
    """Sorted levels by column; empty if all training cases have the same value."""

    @classmethod
    def fit(cls, train: pd.DataFrame, columns: Columns) -> Encoder:
        """Fit an encoder to ``train``, which holds labelled training cases only."""
        numeric = {}
        for name in columns.numeric:
            values = numbers(train, name)
            known = values[~np.isnan(values)]
            mean, deviation = (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)
            if not np.isfinite([mean, deviation]).all():
                raise DataError(f"data.metadata.numeric: numbers of column {name!r} are too large to be standardised.")
            numeric[name] = mean, deviation if differs(deviation, mean) else 0.0
        categorical = {}
        for name in columns.categorical:
            texts = train[f"{PREFIX}{name}"]
            categorical[name] = sorted(set(texts) - {""}) if texts.nunique() > 1 else []
        return cls(numeric, categorical)

    @property
    def columns(self) -> Columns:
        """Columns that are encoded."""
        return Columns(tuple(self.numeric), tuple(self.categorical))

    @property
    def n_levels(self) -> tuple[int, ...]:
        """Number of levels of each categorical column."""
        return tuple(map(len, self.categorical.values()))

    @property
    def useless(self) -> list[str]:
        """Columns with the same value in all training cases."""
        constant = [name for name, (_, deviation) in self.numeric.items() if not deviation]
        return [*constant, *(name for name, levels in self.categorical.items() if not levels)]

    def encode(self, table: pd.DataFrame) -> NDArray[np.float32]:
        """Encode the cases of ``table``, whose metadata columns are text, as rows (cases, columns).

        Raises:
            DataError: a column is missing, or a value of a numeric column is not a number.
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
        """Describe, one line per categorical column, the values that do not occur in the training cases."""
        lines = []
        for name, known in self.categorical.items():
            texts = table[f"{PREFIX}{name}"]
            odd = texts[~texts.isin([*known, ""])]
            if known and len(odd):
                first = ", ".join(map(repr, sorted(set(odd))[:NAMES_SHOWN]))
                lines.append(f"metadata {name!r}: {len(odd)} of {len(table)} values unseen in training, e.g. {first}")
        return lines

    def to_header(self) -> dict[str, str]:
        """Return the entries for the header of a weights file."""
        return {
            KEY: json.dumps({"numeric": dict(self.numeric), "categorical": dict(self.categorical)}, sort_keys=False)
        }

    @classmethod
    def from_header(cls, header: Mapping[str, str] | None, path: Any) -> Encoder:
        """Read an encoder from the header of a weights file.

        Raises:
            DataError: the header has no valid encoder.
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
