"""Labels with an order, from the raw data to samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from goldfold.tasks.classification import target as of_labels
from goldfold.tasks.ordinal.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.cache.images import CachedImages
    from goldfold.tasks.protocol import Examined


def examine(
    table: pd.DataFrame, classes: Sequence[str] | None, where: str, drops: bool, workers: int, link: str = ""
) -> Examined:
    """Check that labels are named, of at least two classes, and have an order: that of ``data.classes``, or of numbers."""
    from goldfold.targets.classes import refuse_disordered

    found = of_labels.examine(table, classes, where, drops, workers)
    refuse_disordered(found.classes, classes is not None)
    return found


class Target:
    """One class label per image."""

    def __init__(self, spec: Spec) -> None:
        self.labels = of_labels.Target(spec.labels)

    def content(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return 1 in the column of the label, else 0."""
        return self.labels.content(table)

    def targets(
        self, table: pd.DataFrame, images: CachedImages | None = None, resize: str = ""
    ) -> list[dict[str, Any]]:
        """Return ``label`` per image: the class index, or a row of probabilities (classes,) if any image has a soft label."""
        return self.labels.targets(table, images, resize)
