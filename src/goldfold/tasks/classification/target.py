"""Labels, from the raw data to samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.base.errors import DataError
from goldfold.tasks.classification.spec import Spec
from goldfold.tasks.protocol import Examined

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.cache.images import CachedImages


def examine(table: pd.DataFrame, classes: Sequence[str] | None, where: str, drops: bool, workers: int) -> Examined:
    """Check that labels are named and of at least two classes."""
    from goldfold.targets.classes import classes_of

    names = classes_of(table["label"].dropna(), classes, where)
    if len(names) == 1:
        n = table["label"].notna().sum()
        raise DataError(f"{where}: all {n} images have one class, {names[0]!r}. At least two are needed.")
    missing = ["image has no label" if lacks else "" for lacks in table["label"].isna()]
    return Examined(table, names, missing, [""] * len(table))


class Target:
    """One class label per image."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def content(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return 1 in the column of the label, else 0, as int8."""
        import pandas as pd

        found = np.zeros(
            (len(table), len(self.classes)), dtype=np.int8
        )  # small, since there may be thousands of classes
        numbers = pd.Index(self.classes).get_indexer(table["label"])
        found[np.flatnonzero(numbers >= 0), numbers[numbers >= 0]] = 1
        return pd.DataFrame(found, index=table.index, columns=self.classes)

    def targets(
        self, table: pd.DataFrame, images: CachedImages | None = None, resize: str = ""
    ) -> list[dict[str, Any]]:
        """Return ``label`` per image: the class index, or a row of probabilities (classes,) if any image has a soft label."""
        from goldfold.targets import soft_labels

        index = {name: number for number, name in enumerate(self.classes)}
        labels = [index[label] for label in table["label"]]
        if soft_labels.COLUMN not in table:
            return [{"label": label} for label in labels]
        rows = np.eye(len(self.classes), dtype=np.float32)
        return [
            {"label": soft_labels.from_text(text, self.classes) if text else rows[label]}
            for label, text in zip(labels, table[soft_labels.COLUMN], strict=True)
        ]
