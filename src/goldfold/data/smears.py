"""Values that lossy compression or interpolation left at the edges of a mask's regions.

Their signature does not depend on the file format: they have hardly a pixel whose neighbours are all of the same value, and
many whose neighbours go lower and higher. A thin object has the first, but lies on one value.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.data import colours
from goldfold.runtime.words import count

Edges = Mapping[int, tuple[int, int, int]]
"""By value: number of pixels; of those inside a region of the value; of those between a lower and a higher neighbour."""
INNER = 0.25
"""Least share of a value's pixels that lie inside, where it is a value of its own."""
BETWEEN, INTERPOLATED = 0.25, 0.9
"""Least share of the other pixels that lie between, where they are smears, and where interpolation made them. Measured:
1.0 for bilinear, 0.76 to 0.99 for bicubic, 0.4 to 0.8 for JPEG, 0.07 for objects of 6 pixels."""
LEAST = 3
"""So many smeared values, or it is chance."""
OWN = 0.005
"""Share of all pixels from which a value with an inside is certainly no smear."""
SHOWN = 8
NEIGHBOURS = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Smears:
    """What was found in masks that are smeared."""

    clean: list[int]
    """Values that have regions of their own, smallest first."""
    values: list[int]
    """All others."""
    share: float
    """Of all pixels, of the others."""
    interpolated: bool
    """Whether interpolation is likelier than lossy compression."""

    @property
    def in_words(self) -> str:
        """The signature, its likely cause, and the clean values."""
        causes = ["JPEG compression", "interpolation, as by resizing or blur,"]
        likely, other = causes[::-1] if self.interpolated else causes
        n = count(len(self.values) + len(self.clean), "value")
        return (
            f"{n}, of which {len(self.values)} ({self.share:.1%} of the pixels) lie only at the edges of the others: they are "
            f"smeared, most likely by {likely.rstrip(',')} (or by {other.rstrip(',')}). "
            f"Nearest clean values: {listed(self.clean)}"
        )


def edges_of(mask: NDArray[Any], picture: NDArray[Any] | None = None) -> dict[int, tuple[int, int, int]]:
    """Counts by value, smallest value first.

    Args:
        mask: (height, width) values.
        picture: (height, width) levels or (height, width, 3) colours that decide what is lower and higher.
    """
    if picture is None:
        picture = colours.pixels_of(mask) if mask.dtype == np.uint32 else mask
    low, high = cv2.erode(picture, NEIGHBOURS), cv2.dilate(picture, NEIGHBOURS)
    inside, between = low == high, (low < picture) & (picture < high)
    if picture.ndim == 3:
        inside, between = inside.all(axis=2), between.any(axis=2)
    if mask.dtype == np.uint32:
        values, places = np.unique(mask, return_inverse=True)
    else:
        values, places = np.arange(int(mask.max(initial=0)) + 1), mask
    masks = (slice(None), inside.ravel(), between.ravel())
    counts = [np.bincount(places.ravel()[rows], minlength=len(values)) for rows in masks]
    rows = np.flatnonzero(counts[0])
    return dict(zip(values[rows].tolist(), zip(*(part[rows].tolist() for part in counts), strict=True), strict=True))


def summed(parts: Iterable[Edges]) -> dict[int, tuple[int, int, int]]:
    """Counts of several masks together."""
    total: dict[int, tuple[int, int, int]] = {}
    for part in parts:
        for value, (n, inside, between) in part.items():
            old = total.get(value, (0, 0, 0))
            total[value] = (old[0] + n, old[1] + inside, old[2] + between)
    return total


def find(edges: Edges) -> Smears | None:
    """Smears among the values of a set of masks; None where there are none."""
    clean = sorted(value for value, (n, inside, _) in edges.items() if inside >= INNER * n)
    others = sorted(set(edges) - set(clean))
    if len(others) < LEAST or len(clean) < 2:
        return None
    n_others = sum(edges[value][0] for value in others)
    share = sum(edges[value][2] for value in others) / n_others
    if share < BETWEEN:
        return None
    return Smears(clean, others, n_others / sum(n for n, _, _ in edges.values()), share >= INTERPOLATED)


def of_their_own(edges: Edges, values: Collection[int]) -> list[int]:
    """Those of ``values`` that are certainly no smears: they fill regions."""
    total = sum(n for n, _, _ in edges.values())
    return [
        value
        for value in sorted(values)
        if value in edges and edges[value][1] >= INNER * edges[value][0] and edges[value][0] >= OWN * total
    ]


def binned(edges: Edges) -> dict[int, tuple[int, int, int]]:
    """Counts with the rare colours of a smeared picture put together, 16 levels of each channel."""
    total = sum(n for n, _, _ in edges.values())
    kept: list[Edges] = []
    for value, counts in edges.items():
        is_clean = counts[1] >= INNER * counts[0] and counts[0] >= OWN * total
        kept.append({value if is_clean or value < colours.FIRST else _binned(value): counts})
    return dict(sorted(summed(kept).items()))


def _binned(number: int) -> int:
    red, green, blue = ((number - colours.FIRST) >> shift & 240 | 8 for shift in (16, 8, 0))
    return colours.number_of(red, green, blue)


def nearest(values: NDArray[Any], known: Sequence[int]) -> NDArray[np.intp]:
    """Place in ``known`` of the value that each of ``values`` is nearest to, by level, or by colour."""
    if max(known) < colours.FIRST and int(values.max(initial=0)) < colours.FIRST:
        distances = np.abs(values.astype(np.int64)[:, None] - np.array(known))
        return np.asarray(distances.argmin(axis=1))
    pixels, own = (colours.pixels_of(np.asarray(part, np.uint32)).astype(np.int64) for part in (values, known))
    return np.asarray(((pixels[:, None] - own) ** 2).sum(axis=2).argmin(axis=1))


def listed(values: Sequence[int]) -> str:
    """The first few values as the config writes them."""
    return ", ".join(map(colours.written, values[:SHOWN])) + (", ..." if len(values) > SHOWN else "")
