"""Which of many 64 bit hashes are near each other, without comparing all with all."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError

Hashes = NDArray[np.uint64]
Positions = NDArray[np.int64]
BITS, BAND_BITS = 64, 16
BANDS = BITS // BAND_BITS
KEYS = 1 << BAND_BITS
MAX_DISTANCE = 16
"""Unrelated hashes differ in 32 bits, give or take 4: farther out there are only accidents, and the look-up gets slow."""
BLOCK = 1 << 20
"""Candidates that are compared at a time: 8 MB an array."""


def near_pairs(hashes: Hashes, max_distance: int) -> tuple[Positions, Positions]:
    """All pairs of hashes that differ in at most ``max_distance`` bits, and in how many they do.

    Args:
        hashes: (n,), any order, equal ones too.
        max_distance: 0 to MAX_DISTANCE.

    Returns:
        (pairs, 2) positions, the smaller first, rows in order; (pairs,) distances.

    Raises:
        DataError: the distance is out of range.
    """
    blocks = list(near_blocks(hashes, max_distance))
    pairs = np.concatenate([np.empty((0, 2), np.int64), *(pairs for pairs, _ in blocks)])
    distances = np.concatenate([np.empty(0, np.int64), *(distances for _, distances in blocks)])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], distances[order]


def near_blocks(hashes: Hashes, max_distance: int) -> Iterator[tuple[Positions, Positions]]:
    """What `near_pairs` finds, some BLOCK at a time and in no order, for where all at once would not fit in memory."""
    if not 0 <= max_distance <= MAX_DISTANCE:
        raise DataError(f"duplicates: distance {max_distance} of {BITS} bits. Choose one from 0 to {MAX_DISTANCE}.")
    distinct, which, counts = np.unique(np.asarray(hashes, np.uint64), return_inverse=True, return_counts=True)
    members = np.argsort(which, kind="stable")
    starts = np.cumsum(counts) - counts
    for first, second in _same(starts, counts):
        yield _ordered(members[first], members[second]), np.zeros(len(first), np.int64)
    for left, right, distances in _apart(distinct, max_distance):
        for pair, place in _spread(counts[left] * counts[right]):
            first = starts[left[pair]] + place // counts[right[pair]]
            second = starts[right[pair]] + place % counts[right[pair]]
            yield _ordered(members[first], members[second]), distances[pair]


def _same(starts: Positions, counts: Positions) -> Iterator[tuple[Positions, Positions]]:
    """Pairs of places within each run of equal hashes."""
    places = np.arange(counts.sum())
    for place, step in _spread(np.repeat(starts + counts, counts) - places - 1):
        yield place, place + 1 + step


def _apart(hashes: Hashes, max_distance: int) -> Iterator[tuple[Positions, Positions, Positions]]:
    """Pairs of distinct hashes, each once, with their distances.

    Multi-index hashing (Norouzi, Punjani and Fleet 2012): give band b a radius so that the sum of (radius + 1) is more
    than max_distance; hashes farther apart than its radius in every band are farther apart than max_distance. So each
    band is looked up with every change of at most its radius bits.
    """
    radii = [(max_distance + BANDS - band) // BANDS - 1 for band in range(BANDS)]
    for band, radius in enumerate(radii):
        keys = _key(hashes, band)
        order = np.argsort(keys, kind="stable")
        keys, starts = keys[order], np.zeros(KEYS + 1, np.int64)
        np.cumsum(np.bincount(keys, minlength=KEYS), out=starts[1:])
        for flips in _flips(radius):
            for left, right in _partners(keys, starts, flips):
                left, right = order[left], order[right]
                distances = np.bitwise_count(hashes[left] ^ hashes[right])
                near = np.flatnonzero(distances <= max_distance)
                left, right, distances = left[near], right[near], distances[near]
                new = ~_found_before(hashes[left] ^ hashes[right], radii[:band])
                if new.any():
                    yield left[new], right[new], distances[new].astype(np.int64)


def _key(hashes: Hashes, band: int) -> Positions:
    return (hashes >> np.uint64(band * BAND_BITS) & np.uint64(KEYS - 1)).astype(np.int64)


def _flips(radius: int) -> list[int]:
    """Every number of BAND_BITS bits of which at most ``radius`` are set; none for a radius below zero."""
    return [
        sum(1 << bit for bit in bits) for size in range(radius + 1) for bits in combinations(range(BAND_BITS), size)
    ]


def _partners(keys: Positions, starts: Positions, flips: int) -> Iterator[tuple[Positions, Positions]]:
    """Pairs of places whose keys differ in just these bits.

    Args:
        keys: (n,), sorted.
        starts: (KEYS + 1,), where each key's run begins.
    """
    wanted = keys ^ flips
    first = starts[wanted] if flips else np.arange(1, len(keys) + 1)
    lengths = np.where(keys <= wanted, starts[wanted + 1] - first, 0)
    for place, step in _spread(lengths):
        yield place, first[place] + step


def _found_before(differences: Hashes, radii: list[int]) -> NDArray[np.bool_]:
    """Whether an earlier band shows the pair already."""
    found = np.zeros(len(differences), bool)
    for band, radius in enumerate(radii):
        found |= np.bitwise_count(_key(differences, band)) <= radius
    return found


def _spread(lengths: Positions) -> Iterator[tuple[Positions, Positions]]:
    """(row, step) for every row's steps from 0 to its length, in arrays of some BLOCK.

    A row is never cut, so one longer than BLOCK makes an array of its own length.
    """
    rows = np.flatnonzero(lengths)
    ends = np.cumsum(lengths[rows])
    begin, done = 0, 0
    while begin < len(rows):
        stop = max(begin + 1, int(np.searchsorted(ends, done + BLOCK, side="right")))
        part = rows[begin:stop]
        firsts = ends[begin:stop] - lengths[part] - done
        row = np.repeat(part, lengths[part])
        yield row, np.arange(len(row)) - np.repeat(firsts, lengths[part])
        begin, done = stop, int(ends[stop - 1])


def _ordered(first: Positions, second: Positions) -> Positions:
    return np.stack([np.minimum(first, second), np.maximum(first, second)], axis=1)
