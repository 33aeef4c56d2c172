"""Find pairs of 64-bit hashes within a Hamming distance, without comparing all with all."""

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
"""Unrelated hashes differ in 32 bits, give or take 4: beyond this, matches are accidental and the look-up gets slow."""
BLOCK = 1 << 20
"""Candidates compared at a time: 8 MB per array."""


def near_pairs(hashes: Hashes, max_distance: int) -> tuple[Positions, Positions]:
    """All pairs of hashes that differ in at most ``max_distance`` bits, with their distances.

    Args:
        hashes: (n,), in any order; may hold equal ones.
        max_distance: 0 to MAX_DISTANCE.

    Returns:
        (pairs, 2) positions, the smaller first, rows sorted; (pairs,) distances.

    Raises:
        DataError: max_distance is out of range.
    """
    blocks = list(near_blocks(hashes, max_distance))
    pairs = np.concatenate([np.empty((0, 2), np.int64), *(pairs for pairs, _ in blocks)])
    distances = np.concatenate([np.empty(0, np.int64), *(distances for _, distances in blocks)])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], distances[order]


def near_blocks(hashes: Hashes, max_distance: int) -> Iterator[tuple[Positions, Positions]]:
    """Yield the pairs of `near_pairs` in blocks of about BLOCK and in no order, to bound memory."""
    if not 0 <= max_distance <= MAX_DISTANCE:
        raise DataError(
            f"duplicates: distance of {max_distance} bits is out of range. Choose one from 0 to {MAX_DISTANCE}."
        )
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
    """Yield pairs of positions within each run of equal hashes."""
    places = np.arange(counts.sum())
    for place, step in _spread(np.repeat(starts + counts, counts) - places - 1):
        yield place, place + 1 + step


def _apart(hashes: Hashes, max_distance: int) -> Iterator[tuple[Positions, Positions, Positions]]:
    """Yield pairs of distinct hashes, each once, with their distances.

    Multi-index hashing (Norouzi, Punjani and Fleet 2012): each band gets a radius such that the sum of (radius + 1)
    exceeds max_distance; hashes that are farther apart than the radius in every band are farther apart than max_distance.
    So it suffices to look up each band with every change of at most radius bits.
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
    """All numbers of BAND_BITS bits with at most ``radius`` bits set; none if the radius is negative."""
    return [
        sum(1 << bit for bit in bits) for size in range(radius + 1) for bits in combinations(range(BAND_BITS), size)
    ]


def _partners(keys: Positions, starts: Positions, flips: int) -> Iterator[tuple[Positions, Positions]]:
    """Yield pairs of positions whose keys differ in exactly the bits ``flips``.

    Args:
        keys: (n,), sorted.
        starts: (KEYS + 1,), start of each key's run.
    """
    wanted = keys ^ flips
    first = starts[wanted] if flips else np.arange(1, len(keys) + 1)
    lengths = np.where(keys <= wanted, starts[wanted + 1] - first, 0)
    for place, step in _spread(lengths):
        yield place, first[place] + step


def _found_before(differences: Hashes, radii: list[int]) -> NDArray[np.bool_]:
    """Mask of the pairs that an earlier band has found already."""
    found = np.zeros(len(differences), bool)
    for band, radius in enumerate(radii):
        found |= np.bitwise_count(_key(differences, band)) <= radius
    return found


def _spread(lengths: Positions) -> Iterator[tuple[Positions, Positions]]:
    """Yield (row, step) for steps 0 to length - 1 of every row, in arrays of about BLOCK.

    A row is never cut, so one longer than BLOCK yields an array of its own length.
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
