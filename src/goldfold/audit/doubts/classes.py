"""Doubts about classes: unscored, small and imbalanced ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from goldfold.base.words import count, noun

if TYPE_CHECKING:
    import pandas as pd

FEW_EXAMPLES = 10
MOST_IMBALANCE = 20
"""Ratio of the largest class to the smallest above which it is reported."""


def about_classes(classes: dict[str, dict[str, float]]) -> Iterator[str]:
    """Small, unscored and imbalanced classes; ``classes`` is the amount per class and fold."""
    sums = {name: sum(parts.values()) for name, parts in classes.items()}
    unscored = [name for name, n in sums.items() if not n]
    if unscored:
        n = count(len(unscored), "class is", "classes are")
        yield (
            f"{n} validated by no fold, first {unscored[0]!r}: trained on and predicted, but never scored "
            f"(folds.rare_classes: train_only)"
        )
    alone = [name for name, parts in classes.items() if sum(n > 0 for n in parts.values()) == 1 < len(parts)]
    if alone:
        n = count(len(alone), "class is", "classes are")
        yield (
            f"{n} validated by only one fold, first {alone[0]!r}, whose models never saw "
            f"{noun(len(alone), 'it', 'them')} unless train_only images have {noun(len(alone), 'it', 'them')}: scored as missed"
        )
    sums = {name: n for name, n in sums.items() if n}
    few = {name: n for name, n in sums.items() if n < FEW_EXAMPLES}
    if few:
        name = min(few, key=lambda name: few[name])
        n = count(len(few), "class has", "classes have")
        yield f"{n} fewer than {FEW_EXAMPLES} examples, the smallest {name!r} with {few[name]:.0f}"
    if len(sums) > 1 and max(sums.values()) > MOST_IMBALANCE * min(sums.values()):
        most, least = max(sums, key=lambda name: sums[name]), min(sums, key=lambda name: sums[name])
        yield (
            f"class {most!r} is {sums[most] / sums[least]:.0f} times as frequent as {least!r}: a metric that weights classes "
            f"equally (f1_macro) is more informative than one that weights images"
        )


def about_external(train: pd.DataFrame) -> Iterator[str]:
    """Classes that are not among the rows that are only trained on, which a model with ``train.rows: external`` never sees."""
    from goldfold.splits.training import is_train_only

    if "label" not in train:
        return
    is_external = is_train_only(train)
    lacking = sorted({*train["label"]} - {*train["label"][is_external]})
    if lacking:
        n = count(len(lacking), "class is", "classes are")
        yield (
            f"train.rows: external: {n} not among the external rows, first {lacking[0]!r}: a model of these rows alone never "
            f"sees {noun(len(lacking), 'it', 'them')}"
        )
