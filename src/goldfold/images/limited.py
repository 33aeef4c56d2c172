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
        at = 0.5 if draw is None else np.random.default_rng(draw).random(most)
        there = [there[int(place)] for place in (np.arange(most) + at) * len(there) / most]
    return [*there, *[None] * (min(most, len(own)) - len(there))]


def limited(cases: Mapping[str, Ids], most: int | None) -> Mapping[str, Ids]:
    """Return `chosen` evenly spaced images of all cases."""
    return cases if most is None else {id: chosen(own, most) for id, own in cases.items()}
