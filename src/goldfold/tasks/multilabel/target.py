"""Sets of labels, from the raw data to samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.base.errors import DataError
from goldfold.tasks.multilabel.spec import Spec
from goldfold.tasks.protocol import Examined

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.cache.images import CachedImages


def examine(
    table: pd.DataFrame,
    classes: Sequence[str] | None,
    where: str,
    drops: bool,
    workers: int,
    positive_weights: Mapping[str, float] | None = None,
    label_separator: str = " ",
) -> Examined:
    """Check that labels are named, not empty and not repeated; sort those of an image in class order."""
    import pandas as pd

    from goldfold.targets.classes import classes_of
    from goldfold.targets.label_sets import from_text, to_text

    found = [None if pd.isna(text) else from_text(text) for text in table["labels"]]
    every = pd.Series([label for labels in found for label in labels or [] if label], dtype=object)
    names = classes_of(every, classes, where)
    if not names:
        raise DataError(f"{where}: no image has a label. Check data.label_column.")
    place = {name: number for number, name in enumerate(names)}
    flaws, dropped = [""] * len(table), list[tuple[str, str]]()
    for row, labels in enumerate(found):
        flaw = _flaw(labels or [], label_separator)
        if flaw and drops:
            dropped.append((table["id"].iloc[row], flaw))
        elif flaw:
            flaws[row] = flaw
    texts = [None if row is None else to_text(sorted(set(row) & set(names), key=place.__getitem__)) for row in found]
    missing = ["image has no labels" if labels is None else "" for labels in found]
    made = table.assign(labels=pd.Series(texts, index=table.index, dtype=object))
    return Examined(made, names, missing, flaws, dropped, part="label")


class Target:
    """Any number of labels per image."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def content(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return 1 in the column of each label, else 0."""
        import pandas as pd

        from goldfold.targets.label_sets import indicators

        return pd.DataFrame(indicators(table["labels"], self.classes).astype(int), columns=list(self.classes))

    def targets(
        self, table: pd.DataFrame, images: CachedImages | None = None, resize: str = ""
    ) -> list[dict[str, Any]]:
        """Return ``labels`` (classes,), 0 or 1, per image; probabilities of images with soft labels."""
        from goldfold.targets import soft_labels
        from goldfold.targets.label_sets import indicators

        rows = indicators(table["labels"], self.classes)
        if soft_labels.COLUMN not in table:
            return [{"labels": row} for row in rows]
        return [
            {"labels": soft_labels.from_text(text, self.classes) if text else row.astype(np.float32)}
            for row, text in zip(rows, table[soft_labels.COLUMN], strict=True)
        ]


def _flaw(labels: Sequence[str], separator: str) -> str:
    """Describe what is wrong with the labels of an image; empty if nothing."""
    if "" in labels:
        return f"its labels {separator.join(labels)!r} include an empty one"
    repeated = next((label for place, label in enumerate(labels) if label in labels[:place]), None)
    return "" if repeated is None else f"its labels include {repeated!r} twice"
