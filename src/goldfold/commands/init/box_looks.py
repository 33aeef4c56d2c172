"""Counts and flaws of boxes, for any source of boxes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from goldfold.base.words import count
from goldfold.commands.init.found import Layout, Setting, some
from goldfold.targets import boxes as geometry

SMALL = 0.05
"""Side of a box as a share of its image's, below which it is small."""


@dataclass
class BoxesOf:
    """Boxes of an image: labels, corners x1, y1, x2, y2, and the image's width and height, 0 if unknown."""

    name: str
    labels: list[str]
    corners: list[list[float]]
    size: tuple[int, int] = (0, 0)


@dataclass
class Counts:
    """Counts of boxes of a set of images."""

    boxes: Counter[str] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)
    n_images: int = 0
    n_empty: int = 0
    flawed: Counter[str] = field(default_factory=Counter)
    first_flawed: dict[str, str] = field(default_factory=dict)
    n_twice: int = 0
    """Boxes that are listed twice in their image."""
    first_twice: str = ""
    sides: list[float] = field(default_factory=list)
    """Square roots of the boxes' areas, as shares of their images' areas."""


def tally(listed: Iterable[BoxesOf]) -> Counts:
    """Count boxes and flaws."""
    found = Counts()
    for entry in listed:
        found.n_images += 1
        found.n_empty += not entry.labels
        found.boxes.update(entry.labels)
        found.images.update(set(entry.labels))
        corners = np.array(entry.corners, dtype=np.float64).reshape(-1, 4)
        width, height = entry.size if all(entry.size) else (1_000_000, 1_000_000)
        for flaw in filter(None, geometry.flaws(corners, width, height)):
            found.flawed[flaw] += 1
            found.first_flawed.setdefault(flaw, entry.name)
        if n_twice := sum(first is not None for first in geometry.repeated(entry.labels, corners)):
            found.n_twice += n_twice
            found.first_twice = found.first_twice or entry.name
        if all(entry.size):
            areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1]) / (width * height)
            found.sides += np.sqrt(areas.clip(0, 1)).tolist()
    return found


def describe(layout: Layout, counts: Counts) -> None:
    """Add counts, facts and doubts to the layout."""
    layout.classes, layout.in_images, layout.unit = dict(counts.boxes), dict(counts.images), "boxes"
    n = sum(counts.boxes.values())
    each = f", {n / counts.n_images:.1f} per image" if counts.n_images else ""
    side = f"; side of the median box: {np.median(counts.sides):.0%} of its image's" if counts.sides else ""
    layout.facts["boxes"] = f"{count(n, 'box', 'boxes')}{each}, {count(counts.n_empty, 'image')} without any{side}"
    if not n:
        layout.doubt("there is no box to train on. Check the annotations.", stops=True)
    if counts.flawed:
        layout.data["on_bad_label"] = Setting("drop", "only flawed boxes are left out, their images stay")
    if counts.n_twice:
        layout.data["on_bad_label"] = Setting("drop", "only flawed boxes, and those listed twice, are left out")
        layout.doubt(
            f"{count(counts.n_twice, 'box is', 'boxes are')} listed twice, first in {some([counts.first_twice])}: the second is "
            f"left out."
        )
    for flaw, of in counts.flawed.most_common():
        verb = flaw if of == 1 else flaw.replace("has ", "have ", 1).replace("is ", "are ", 1)
        verb = verb if of == 1 else verb.replace("lies ", "lie ", 1).replace("reaches ", "reach ", 1)
        way = "cut" if flaw == geometry.REACHES_OUTSIDE else "left out"
        layout.doubt(f"{count(of, 'box', 'boxes')} {verb}, first in {some([counts.first_flawed[flaw]])}: {way}.")
    layout.has_small_boxes = bool(counts.sides) and float(np.median(counts.sides)) < SMALL
    if layout.has_small_boxes:
        layout.doubt(
            "half of the boxes have a side under 5 % of their image's: choose a larger image_size_px, and strides: [4, 8, 16]."
        )
