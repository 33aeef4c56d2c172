"""Detection of smears: values that lossy compression or interpolation left at the edges of a mask's regions.

Their signature does not depend on the file format: hardly any of their pixels have only neighbours of the same value, and
many have both lower and higher neighbours. Thin objects share the first property, but not the second.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.base.words import count
from goldfold.targets import colours

Counts = tuple[int, int, int, int]
Edges = Mapping[int, Counts]
"""By value: number of pixels, of those inside a region of the value, of those between a lower and a higher neighbour, and
of those inside a region of nearly one level or colour."""
INNER = 0.25
"""Smallest share of a value's pixels inside regions for a genuine value."""
BETWEEN, INTERPOLATED = 0.25, 0.9
"""Smallest share of the other pixels that lie between neighbours, for smears, and for interpolation. Measured: 1.0 for
bilinear, 0.76 to 0.99 for bicubic, 0.4 to 0.8 for JPEG, 0.07 for objects of 6 pixels."""
LEAST = 3
"""Fewest smeared values, which must also be at least as many as the others; numbered objects have far fewer."""
OVERSHOOT = 1.5
"""Largest ratio of a smear to the highest clean level."""
OWN = 0.005
"""Share of all pixels at or above which a value with pixels inside regions is not a smear."""
SHOWN = 8
NEAR, RADIUS, EXACT = 32, 40, 8
"""Largest differences in levels: within a region of nearly one level, between shades of one grey or colour, and between
greys that fill regions."""
EXACT_COLOUR = 16
"""Largest difference per channel between colours that fill regions, as caused by strong compression."""
FLAT, FLATTER = 0.02, 0.1
"""Share of a shade's pixels inside regions at or above which some regions are flat, and the smallest share relative to it
that other shades must then have."""
WHOLE = 0.6
"""Share of a value's pixels inside regions at or above which class numbers stay distinct, however close they are."""
THIN, INTERPOLATED_THIN, PEAK = 8, 0.5, 0.25
"""Number of values, and share of pixels between neighbours, at or above which masks without regions are smeared thin
objects (measured 0.55 to 0.85, clean ones 0.04); share of the most frequent level at or above which another is a class."""
MIXED, FEWEST_MIXED = 0.15, 50
"""Smallest share of a class's edge pixels that lie between neighbours (measured 0.18 to 0.4), and fewest edge pixels."""
DARK, WHITE = 64, 255
"""Highest level up to which levels are too close for shades; level of white."""
NEIGHBOURS = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Smears:
    """Findings in smeared masks."""

    clean: list[int]
    """Values with regions of their own, in ascending order."""
    values: list[int]
    """All other values."""
    share: float
    """Share of the other values among all pixels."""
    interpolated: bool
    """Whether interpolation is more likely than lossy compression."""

    @property
    def in_words(self) -> str:
        """The signature, its likely cause, and the clean values."""
        causes = ["JPEG compression", "interpolation, as by resizing or blur,"]
        likely, other = causes[::-1] if self.interpolated else causes
        n = count(len(self.values) + len(self.clean), "value")
        return (
            f"{n}, of which {len(self.values)} ({self.share:.1%} of the pixels) are only at the edges of the others: they are "
            f"smeared, most likely by {likely.rstrip(',')} (or by {other.rstrip(',')}). "
            f"Nearest clean values: {listed(self.clean)}"
        )


def edges_of(mask: NDArray[Any], picture: NDArray[Any] | None = None) -> dict[int, Counts]:
    """Counts by value, in ascending order of values.

    Args:
        mask: (height, width) values.
        picture: (height, width) levels or (height, width, 3) colours that define lower and higher neighbours.
    """
    if picture is None:
        picture = colours.pixels_of(mask) if mask.dtype == np.uint32 else mask
    low, high = cv2.erode(picture, NEIGHBOURS), cv2.dilate(picture, NEIGHBOURS)
    inside, between = low == high, (low < picture) & (picture < high)
    near = high - low <= NEAR
    if picture.ndim == 3:
        inside, between, near = inside.all(axis=2), between.any(axis=2), near.all(axis=2)
    if mask.dtype == np.uint32:
        values, places = np.unique(mask, return_inverse=True)
    else:
        values, places = np.arange(int(mask.max(initial=0)) + 1), mask
    masks = (slice(None), inside.ravel(), between.ravel(), near.ravel())
    counts = [np.bincount(places.ravel()[rows], minlength=len(values)) for rows in masks]
    rows = np.flatnonzero(counts[0])
    return dict(zip(values[rows].tolist(), zip(*(part[rows].tolist() for part in counts), strict=True), strict=True))


def summed(parts: Iterable[Edges]) -> dict[int, Counts]:
    """Summed counts of several masks."""
    total: dict[int, Counts] = {}
    for part in parts:
        for value, (n, inside, between, near) in part.items():
            old = total.get(value, (0, 0, 0, 0))
            total[value] = (old[0] + n, old[1] + inside, old[2] + between, old[3] + near)
    return total


def find(edges: Edges) -> Smears | None:
    """Smears among the values of a set of masks; None if there are none."""
    clean = sorted(value for value, counts in edges.items() if counts[1] >= INNER * counts[0])
    others = set(edges) - set(clean)
    n_others = sum(edges[value][0] for value in others)
    n_between = sum(edges[value][2] for value in others)
    if len(others) < max(LEAST, len(clean)) or n_between < BETWEEN * n_others:
        return None
    highest = max(edges)
    are_numbers = len(edges) == highest + 1 < WHITE  # 0, 1, 2, ... without a gap
    is_whole = len(clean) > 1 and max(others) <= OVERSHOOT * clean[-1]
    if len(clean) < 2 and len(others) >= THIN and n_between >= INTERPOLATED_THIN * n_others and highest <= WHITE:
        clean = [] if are_numbers else _peaks(edges, clean)
    elif highest >= colours.FIRST or (DARK < highest <= WHITE and not is_whole and not are_numbers):
        clean = _centres(edges, edges)
    elif is_whole:
        clean = _centres(edges, clean)
    else:
        return None
    others = set(edges) - set(clean)
    if len(clean) < 2:
        return None
    n, between = (sum(edges[value][place] for value in others) for place in (0, 2))
    return Smears(clean, sorted(others), n / sum(counts[0] for counts in edges.values()), between >= INTERPOLATED * n)


def mixed(edges: Edges) -> list[int]:
    """Values that fill regions but also often lie at edges between a lower and a higher value.

    Interpolation between consecutive class numbers causes this, but so does a class of outlines.
    """
    rims = {value: counts[0] - counts[1] for value, counts in edges.items() if counts[1] >= INNER * counts[0]}
    found = [value for value, n in rims.items() if n and edges[value][2] >= MIXED * n and n >= FEWEST_MIXED]
    return sorted(found) if max(edges, default=0) <= DARK else []


def _peaks(edges: Edges, clean: Sequence[int]) -> list[int]:
    """Levels of thin objects, which fill no regions: the most frequent levels that are not steps to a higher one."""
    steady = {value: counts[0] - counts[2] for value, counts in edges.items()}
    low, highest = clean[0] if clean else min(edges), max(edges)
    found: dict[int, int] = {low: 0}
    for value in sorted(steady, key=lambda value: -steady[value]):
        centre = min(found, key=lambda centre: abs(centre - value))
        if abs(centre - value) <= RADIUS:
            found[centre] += steady[value]
        else:
            found[value] = steady[value]
    most = max((n for value, n in found.items() if value != low), default=0)
    peaks = [value for value, n in found.items() if value != low and n >= PEAK * most and steady[value] >= PEAK * n]
    return [low, *(sorted(_snapped(value, edges) for value in peaks) or [_snapped(highest, edges)])]


def _snapped(value: int, found: Collection[int]) -> int:
    """Black or white if a value is close to it and the masks contain it, since JPEG shifts regions by a level or two."""
    (pixel,) = _pixels([value])
    return next((end for end in (0, WHITE) if np.abs(pixel - end).max() <= EXACT and end in found), value)


def _centres(edges: Edges, among: Collection[int]) -> list[int]:
    """The most frequent shade of each colour or grey that fills regions, in ascending order; after JPEG none may be exact.

    Args:
        among: candidate values.
    """
    exact = {value for value in among if edges[value][1] >= INNER * edges[value][0]}
    highest = max(edges)
    near_px = EXACT_COLOUR if highest >= colours.FIRST else EXACT
    whole = {value for value in exact if highest <= DARK and edges[value][1] >= WHOLE * edges[value][0]}
    order = sorted(among, key=lambda value: -edges[value][0])
    centres, shades = np.empty((0, 3), np.int64), list[list[int]]()
    for value, pixel in zip(order, _pixels(order), strict=True):
        far = np.abs(centres - pixel).max(axis=1)
        if not len(far) or value in whole or far.min() > (near_px if value in exact else RADIUS):
            centres, far = np.vstack([centres, pixel]), np.append(far, 0)
            shades.append([])
        shades[int(far.argmin())].append(value)
    total, found = sum(edges[value][0] for value in among), []
    sums = [[sum(edges[value][place] for value in own) for place in (0, 1, 3)] for own in shades]
    most_inside = max((inside / n for n, inside, _ in sums), default=0)
    for own, (n, inside, near) in zip(shades, sums, strict=True):
        is_rim = most_inside >= FLAT and inside < FLATTER * most_inside * n
        if near >= INNER * n and not is_rim and (n >= OWN * total or own[0] in exact):
            found.append(own[0] if highest <= DARK else _snapped(own[0], edges))
    return sorted(found)


def of_their_own(edges: Edges, allowed: Collection[int]) -> list[int]:
    """Values that fill regions and are not a shade of an ``allowed`` one, and so are not smears."""
    total = sum(counts[0] for counts in edges.values())
    found = find(edges)
    clean = [value for value, counts in edges.items() if counts[1] >= INNER * counts[0] and counts[0] >= OWN * total]
    own = _pixels(sorted(allowed))
    gaps = np.abs(own[:, None] - own).max(axis=2)
    shade = min(RADIUS, int(gaps[gaps > 0].min(initial=RADIUS)) // 4)
    values = sorted(set(clean if found is None or max(edges) < colours.FIRST else found.clean) - set(allowed))
    far = np.abs(_pixels(values)[:, None] - own).max(axis=2).min(axis=1)
    return [value for value, distance in zip(values, far.tolist(), strict=True) if distance > shade]


def _pixels(numbers: Sequence[int]) -> NDArray[np.int64]:
    """Colours (n, 3) of numbers; without colours, 16-bit levels repeated three times."""
    known = np.array(numbers, np.uint32)
    if max(numbers, default=0) < colours.FIRST:
        return np.repeat(known.astype(np.int64)[:, None], 3, axis=1)
    return colours.pixels_of(known).astype(np.int64)


def binned(edges: Edges) -> dict[int, Counts]:
    """Counts with rare colours of a smeared image merged into bins of 16 levels per channel."""
    total = sum(counts[0] for counts in edges.values())
    kept: list[Edges] = []
    for value, counts in edges.items():
        is_clean = counts[1] >= INNER * counts[0] or counts[0] >= OWN * total
        kept.append({value if is_clean or value < colours.FIRST else _binned(value): counts})
    return dict(sorted(summed(kept).items()))


def _binned(number: int) -> int:
    red, green, blue = ((number - colours.FIRST) >> shift & 240 | 8 for shift in (16, 8, 0))
    return colours.number_of(red, green, blue)


def nearest(values: NDArray[Any], known: Sequence[int]) -> NDArray[np.intp]:
    """Index in ``known`` of the nearest value for each of ``values``, by level or by colour."""
    if max(known) < colours.FIRST and int(values.max(initial=0)) < colours.FIRST:
        distances = np.abs(values.astype(np.int64)[:, None] - np.array(known))
        return np.asarray(distances.argmin(axis=1))
    pixels, own = (colours.pixels_of(np.asarray(part, np.uint32)).astype(np.int64) for part in (values, known))
    return np.asarray(((pixels[:, None] - own) ** 2).sum(axis=2).argmin(axis=1))


def listed(values: Sequence[int]) -> str:
    """The first few values as written in the config."""
    return ", ".join(map(str, colours.all_written(values)[:SHOWN])) + (", ..." if len(values) > SHOWN else "")
