"""Targets of training rows in the form that heads are fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.heads.protocol import VALUE


@dataclass(frozen=True)
class Targets:
    """Class indices (n,), 0 or 1 by label (n, labels), or numbers (n,) in units of their spread."""

    kind: str
    scaled: NDArray[Any]
    scale: tuple[float, float] = (0.0, 1.0)
    """Middle and spread of numbers."""

    @classmethod
    def of(cls, kind: str, targets: Sequence[dict[str, Any]]) -> Targets:
        """Return the targets of rows from those of their task; numbers are scaled by their mean and standard deviation."""
        if kind == VALUE:
            values = np.array([one["value"] for one in targets], dtype=np.float64)
            scale = float(values.mean()), float(values.std()) or 1.0
            return cls(kind, (values - scale[0]) / scale[1], scale)
        return cls(kind, np.array([one[kind] for one in targets], dtype=np.int64))

    def n_outputs(self, n_classes: int) -> int:
        """Return the number of outputs of a head."""
        return 1 if self.kind == VALUE else n_classes
