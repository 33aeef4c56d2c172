"""Doubts about boxes: images that lost all of theirs, boxes listed twice, classes in fewer images than folds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from goldfold.base.words import count, noun

if TYPE_CHECKING:
    import pandas as pd

NO_BOXES = "[]"
"""Output of `goldfold.targets.boxes.to_text` for no boxes."""


def about_emptied(left_out: Iterable[Mapping[str, str]], train: pd.DataFrame) -> Iterator[str]:
    """Training images without objects because all their boxes were left out; ``left_out`` are rows of the quarantine."""
    if "boxes" not in train:
        return
    lost = {row["id"] for row in left_out if (row["split"], row["part"]) == ("train", "box")}
    ids = [id for id, text in zip(train["id"], train["boxes"], strict=True) if id in lost and text == NO_BOXES]
    if ids:
        have, they = ("has", "it is") if len(ids) == 1 else ("have", "they are")
        without = noun(len(ids), "an image", "images")
        yield (
            f"{count(len(ids), 'image')} {have} no box left after flawed ones were dropped, first {ids[0]!r}: {they} trained "
            f"on as {without} without objects"
        )


def about_repeated(train: pd.DataFrame) -> Iterator[str]:
    """Boxes listed twice in a training image, with the same label or with two."""
    if "boxes" not in train:
        return
    from goldfold.targets.boxes import from_text, repeated

    same, two = Counter[str](), Counter[str]()
    for id, text in zip(train["id"], train["boxes"], strict=True):
        labels, corners = from_text(text)
        same[id] = sum(first is not None for first in repeated(labels, corners))
        two[id] = sum(first is not None for first in repeated([""] * len(labels), corners)) - same[id]
    same, two = +same, +two
    if same:
        n, are = count(same.total(), "box", "boxes"), noun(same.total(), "is", "are")
        yield (
            f"{n} of {count(len(same), 'training image')} {are} listed twice, first in {next(iter(same))!r}: every model is "
            f"scored as missing one of the two; data.on_bad_label: drop leaves the second out"
        )
    if two:
        n, are = count(two.total(), "box", "boxes"), noun(two.total(), "is", "are")
        yield f"{n} of {count(len(two), 'training image')} {are} listed with two classes, first in {next(iter(two))!r}"


def about_rare_boxes(train: pd.DataFrame, classes: list[str], n_folds: int) -> Iterator[str]:
    """Classes with boxes in fewer training images than there are folds, and the setting that leaves them out."""
    if "boxes" not in train:
        return
    from goldfold.targets.boxes import from_text

    images = Counter(label for text in train["boxes"] for label in set(from_text(text)[0]))
    rare = [name for name in classes if images[name] < n_folds]
    if rare:
        n = count(len(rare), "class has", "classes have")
        yield (
            f"{n} boxes in fewer images than the {n_folds} folds, first {rare[0]!r} in {count(images[rare[0]], 'image')}: some "
            f"folds are scored on {noun(len(rare), 'it', 'them')} without training on {noun(len(rare), 'it', 'them')}, or "
            f"not at all" + leaving_out(rare, classes)
        )


def leaving_out(rare: list[str], classes: list[str]) -> str:
    """Advice on the setting that leaves out boxes of ``rare`` classes; empty if no class would remain."""
    import yaml

    left = [name for name in classes if name not in rare]
    listed = yaml.safe_dump(left, default_flow_style=True, allow_unicode=True, width=math.inf).strip()
    them = noun(len(rare), "it", "them")
    return f". To leave {them} out, write under data: classes: {listed} and on_bad_label: drop" if left else ""
