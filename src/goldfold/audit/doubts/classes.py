"""Doubts about classes: unscored, small, and far apart in number."""

from __future__ import annotations

from collections.abc import Iterator

from goldfold.base.words import count, noun

FEW_IMAGES = 10
RARE = 20
"""How many times more images the largest class may have than the smallest before it is worth a word."""


def about_classes(classes: dict[str, dict[str, float]]) -> Iterator[str]:
    """Classes of which there is little, by how much of each is in each fold."""
    sums = {name: sum(parts.values()) for name, parts in classes.items()}
    unscored = [name for name, n in sums.items() if not n]
    if unscored:
        n = count(len(unscored), "class is", "classes are")
        yield (
            f"{n} validated by no fold, first {unscored[0]!r}: learnt and predicted, and no score says anything of "
            f"{noun(len(unscored), 'it', 'them')} (folds.rare_classes: train_only)"
        )
    alone = [name for name, parts in classes.items() if sum(n > 0 for n in parts.values()) == 1 < len(parts)]
    if alone:
        n = count(len(alone), "class is", "classes are")
        yield (
            f"{n} validated by one fold alone, first {alone[0]!r}, whose models never saw "
            f"{noun(len(alone), 'it', 'them')} unless train_only images have {noun(len(alone), 'it', 'them')}: scored as missed"
        )
    sums = {name: n for name, n in sums.items() if n}
    few = {name: n for name, n in sums.items() if n < FEW_IMAGES}
    if few:
        name = min(few, key=lambda name: few[name])
        n = count(len(few), "class has", "classes have")
        yield f"{n} fewer than {FEW_IMAGES} examples, the smallest {name!r} with {few[name]:.0f}"
    if len(sums) > 1 and max(sums.values()) > RARE * min(sums.values()):
        most, least = max(sums, key=lambda name: sums[name]), min(sums, key=lambda name: sums[name])
        yield (
            f"class {most!r} is {sums[most] / sums[least]:.0f} times as frequent as {least!r}: a metric that counts classes "
            f"alike (f1_macro) says more than one that counts images"
        )
