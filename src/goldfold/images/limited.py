"""Some of the images of cases that have many: evenly spaced, or drawn from equal parts of the case."""

from collections.abc import Mapping, Sequence

import numpy as np

Ids = Sequence[str | None]
"""Ids of the images of a case, None for a missing one."""


def chosen(own: Ids, most: int | None, draw: int | None = None) -> Ids:
    """Return at most ``most`` images of a case, in their order and before missing ones; all places if ``most`` is None.

    The images that are there are cut into as many equal parts; of each part the middle is taken, or with ``draw`` a random one
    (Wang et al. 2016, temporal segment networks).

    Args:
        own: all images of a case.
        draw: seed of a random choice.

    >>> chosen(["a", "b", None, "c", "d"], 2)
    ['b', 'd']
    >>> chosen([None, "a", "b"], 4)
    ['a', 'b', None]
    """
    if most is None:
        return own
    there = [id for id in own if id is not None]
    if len(there) > most:
        there = [there[place] for place in _places(len(there), most, draw)]
    return [*there, *[None] * (min(most, len(own)) - len(there))]


def _places(n: int, most: int, draw: int | None) -> list[int]:
    """One place in each of ``most`` parts of ``n`` places."""
    if draw is None:
        return [(2 * part + 1) * n // (2 * most) for part in range(most)]
    edges = np.arange(most + 1) * n // most
    found: list[int] = np.random.default_rng(draw).integers(edges[:-1], edges[1:]).tolist()
    return found


def limited(cases: Mapping[str, Ids], most: int | None) -> Mapping[str, Ids]:
    """Return `chosen` evenly spaced images of all cases."""
    return cases if most is None else {id: chosen(own, most) for id, own in cases.items()}
