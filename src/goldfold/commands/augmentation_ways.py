"""Ways through an augmentation: which transforms are applied, one after the other, whatever their probabilities."""

from collections.abc import Iterable, Sequence
from typing import Any

Way = tuple[Any, ...]
"""Transforms of albumentations that are applied, without containers."""


def ways_through(transforms: Sequence[Any]) -> list[Way]:
    """Return ways in which each transform is applied once at least, besides those that are always applied.

    In the first way every transform is applied; in the second only those that always are; in each of the others one more,
    or one that a container chooses (OneOf, SomeOf). Their number is about that of the transforms. Transforms with
    probability 0 are in none.
    """
    possible = [one for one in transforms if _may_apply(one)]
    each = [_ways_of(one) for one in possible]
    always = [ways[0] if _is_always(one) else () for one, ways in zip(possible, each, strict=True)]
    found = [_joined(ways[0] for ways in each), _joined(always)]
    found += [_joined([*always[:i], way, *always[i + 1 :]]) for i, ways in enumerate(each) for way in ways]
    return [way for i, way in enumerate(found) if way not in found[:i]]


def _ways_of(transform: Any) -> list[Way]:
    """Return the ways through a transform that is applied, at least one."""
    import albumentations as A

    if not isinstance(transform, A.BaseCompose):
        return [(transform,)]
    if isinstance(transform, A.Sequential | A.Compose):
        return ways_through(transform.transforms)
    chosen = [way for one in transform.transforms if _may_apply(one) for way in _ways_of(one)]
    return [*chosen, (transform,)] if isinstance(transform, A.SelectiveChannelTransform) else chosen or [()]


def _may_apply(transform: Any) -> bool:
    return bool(transform.p > 0) or _is_always(transform)


def _is_always(transform: Any) -> bool:
    import albumentations as A

    return bool(transform.p >= 1) or isinstance(transform, A.OneOrOther)  # its p is the probability of the first


def _joined(parts: Iterable[Way]) -> Way:
    return tuple(one for part in parts for one in part)
