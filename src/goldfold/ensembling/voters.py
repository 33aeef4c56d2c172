"""Members with weight in a fusion."""

from collections.abc import Sequence
from typing import TypeVar

from goldfold.base.errors import ConfigError

Member = TypeVar("Member")


def voters(members: Sequence[Member], weights: Sequence[float]) -> tuple[list[Member], list[float]]:
    """Return the members with weight above 0 and their normalised weights, which sum to one.

    Members of weight 0 are left out before fusion, so that neither their size nor their presence affects the result.

    >>> voters(["a", "b", "c"], [3.0, 0.0, 1.0])
    (['a', 'c'], [0.75, 0.25])

    Raises:
        ConfigError: no member has a weight.
    """
    total = sum(weights)
    if not total:
        raise ConfigError("ensemble.weights: all are 0. At least one must be above 0.")
    kept = [(member, weight / total) for member, weight in zip(members, weights, strict=True) if weight]
    return [member for member, _ in kept], [share for _, share in kept]
