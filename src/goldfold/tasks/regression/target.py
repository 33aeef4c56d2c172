"""Numbers, from the raw data to samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.tasks.protocol import Examined
from goldfold.tasks.regression.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.cache.images import CachedImages


def examine(table: pd.DataFrame, classes: Sequence[str] | None, where: str, drops: bool, workers: int) -> Examined:
    """Check that targets are finite numbers and not all equal."""
    import pandas as pd

    from goldfold.targets.bins import bins_of, edges_of

    texts = table["value"]
    numbers = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64)
    sound = np.isfinite(numbers)
    missing = ["image has no target" if lacks else "" for lacks in texts.isna()]
    flaws = [
        "" if is_sound or lacks else f"its target {text!r} is not a finite number"
        for text, is_sound, lacks in zip(texts, sound, missing, strict=True)
    ]
    if classes is None:
        if not sound.any():
            raise DataError(f"{where}: no image has a number as its target. Check data.target_column.")
        names = bins_of(numbers[sound])
        if numbers[sound].min() == numbers[sound].max():
            raise DataError(
                f"{where}: all {int(sound.sum())} targets are {numbers[sound][0]:g}. There is nothing to learn."
            )
    else:
        names = list(classes)
        try:
            edges_of(names)
        except DataError as error:
            raise DataError(f"data.classes: regression has no classes; remove it. {error}") from error
    return Examined(table, names, missing, flaws)


LEAST_SAMPLED = 10
"""Fewest training rows of a bin by which samples are drawn: a fold has fewer rows than the table."""


class Target:
    """One number per image."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def content(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return 1 in the column of the target's bin, else 0."""
        import pandas as pd

        from goldfold.targets.bins import edges_of, place_in

        places = place_in(numbers(table), edges_of(self.classes))
        return pd.DataFrame(np.eye(len(self.classes), dtype=int)[places], columns=list(self.classes))

    def targets(
        self, table: pd.DataFrame, images: CachedImages | None = None, resize: str = ""
    ) -> list[dict[str, Any]]:
        """Return ``value``, the number in units of the target, per image."""
        return [{"value": value} for value in numbers(table).tolist()]

    def presence(self, targets: Sequence[dict[str, Any]]) -> NDArray[np.bool_]:
        """Return the bin of each number, (images, bins); the bins are those of these numbers, not of other rows."""
        from goldfold.targets.bins import bins_of, edges_of, place_in

        values = np.array([target["value"] for target in targets])
        edges = edges_of(bins_of(values, LEAST_SAMPLED))
        return np.eye(len(edges) - 1, dtype=bool)[place_in(values, edges)]


def numbers(table: pd.DataFrame) -> NDArray[np.float64]:
    """Return the targets (n,) of an examined table."""
    return table["value"].astype(float).to_numpy(dtype=np.float64)
