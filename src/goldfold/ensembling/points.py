"""Fusion of points: those of several members that are near each other become one.

A method is called with the points of one image, and returns fused points, scores and labels, by descending score:

    members: (points (n, 2), scores (n,), labels (n,)) of each member, in pixels of the image.
    weights: of each member.
    size: height and width of the image.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError, shown
from goldfold.targets.nearness import default_distance

Found = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
"""Points (n, 2), scores (n,) and labels (n,)."""


def merged(
    members: Sequence[Found], weights: Sequence[float], size: tuple[int, int], distance_px: float | None = None
) -> Found:
    """Mean place of near points, weighted by scores, with the weighted mean of the scores; a member without the point has 0.

    Points are taken by descending score, and each joins the nearest group of its class within ``distance_px`` in which its
    member has none yet (after weighted boxes fusion, Solovyev et al. 2021).

    Args:
        distance_px: default: 3 % of the image's longer side.
    """
    groups = _grouped(members, weights, size, distance_px)
    total = sum(weights)
    points = np.array([group.place for group in groups]).reshape(-1, 2)
    scores = np.array([group.mass / total for group in groups])
    return _sorted(points, scores, np.array([group.label for group in groups], np.int64))


def strongest(
    members: Sequence[Found], weights: Sequence[float], size: tuple[int, int], distance_px: float | None = None
) -> Found:
    """The point of highest score of each group, see `merged`; scores are multiplied by the weight relative to the largest."""
    groups = _grouped(members, weights, size, distance_px)
    points = np.array([group.first for group in groups]).reshape(-1, 2)
    scores = np.array([group.most / max(weights) for group in groups])
    return _sorted(points, scores, np.array([group.label for group in groups], np.int64))


class _Group:
    """Points of one object."""

    def __init__(self, point: NDArray[Any], mass: float, label: int, member: int) -> None:
        self.place, self.first, self.mass, self.most, self.label = point.astype(float), point, mass, mass, label
        self.members = {member}

    def add(self, point: NDArray[Any], mass: float, member: int) -> None:
        """Move the place by a further point of another member."""
        self.mass += mass
        self.place = self.place + (point - self.place) * (mass / self.mass if self.mass else 0.5)
        self.members.add(member)


def _grouped(
    members: Sequence[Found], weights: Sequence[float], size: tuple[int, int], distance_px: float | None
) -> list[_Group]:
    reach = distance(distance_px, size)
    parts = [
        (places.reshape(-1, 2), scores * weight, labels, np.full(len(scores), number))
        for number, ((places, scores, labels), weight) in enumerate(zip(members, weights, strict=True))
        if weight > 0
    ]
    points, masses, labels, owners = (np.concatenate(part) for part in zip(*parts, strict=True))
    groups: list[_Group] = []
    of_class: dict[int, list[_Group]] = {}
    for row in np.lexsort((points[:, 1], points[:, 0], -masses)).tolist():
        point, mass, label, owner = points[row], float(masses[row]), int(labels[row]), int(owners[row])
        known = of_class.setdefault(label, [])
        nearest = _nearest(known, point, owner, reach)
        if nearest is None:
            known.append(_Group(point, mass, label, owner))
            groups.append(known[-1])
        else:
            nearest.add(point, mass, owner)
    return groups


def _nearest(groups: Sequence[_Group], point: NDArray[Any], owner: int, reach: float) -> _Group | None:
    """Return the nearest group within ``reach`` that has no point of this member; None without one."""
    if not groups:
        return None
    away = np.linalg.norm(np.array([group.place for group in groups]) - point, axis=1)
    free = [place for place in np.flatnonzero(away <= reach).tolist() if owner not in groups[place].members]
    return groups[min(free, key=lambda place: away[place])] if free else None


def apart(points: NDArray[Any], scores: NDArray[Any], labels: NDArray[Any], least_px: float) -> NDArray[np.int64]:
    """Return the rows of points that are at least ``least_px`` from every better one of their class that is kept."""
    from scipy.spatial import cKDTree

    order = np.lexsort((points[:, 1], points[:, 0], -scores)) if len(points) else np.array([], np.int64)
    if least_px <= 0 or len(points) < 2:
        return order
    near = cKDTree(points).query_ball_point(points, least_px * (1 - 1e-9))
    kept = np.zeros(len(points), bool)
    for row in order.tolist():
        kept[row] = not any(kept[other] and labels[other] == labels[row] for other in near[row])
    return order[kept[order]]


def distance(given: float | None, size: tuple[int, int]) -> float:
    """Return the distance up to which points are one, in pixels.

    Raises:
        ConfigError: it is not a number above 0.
    """
    if given is None:
        return default_distance(size)
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < float("inf"):
        raise ConfigError(f"distance_px = {shown(given)}: must be a number of pixels above 0")
    return float(given)


def _sorted(points: NDArray[Any], scores: NDArray[Any], labels: NDArray[Any]) -> Found:
    order = np.lexsort((points[:, 1], points[:, 0], -scores)) if len(points) else np.array([], np.int64)
    return points[order], scores[order], labels[order]
