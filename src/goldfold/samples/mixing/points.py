"""Mixing of images with points: points stay with the pixels that show them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError
from goldfold.samples.mixing import Partner, Sample, mixed_weight
from goldfold.samples.mixing.regions import Rectangle, arranged, blended, covered_by_cut, size_of
from goldfold.samples.mixing.values import refuse_alpha, refuse_least

Points = NDArray[np.float32]
"""(n, 2) x, y, counted from the centre of the first pixel."""


def mixup(
    sample: Sample, partner: Partner, generator: np.random.Generator, alpha: float = 1.5, min_share: float = 0.25
) -> Sample:
    """Blend with another image by a share from Beta(alpha, alpha), with the points of both (Zhang et al. 2019, section 3.1).

    Args:
        alpha: the larger, the more equal are the shares.
        min_share: points of an image with a smaller share are dropped.
    """
    refuse_alpha("mixup", alpha)
    if not 0 <= min_share <= 1:
        raise ConfigError(f"min_share = {min_share:g} must be between 0 and 1, a share of the image")
    share, other = float(generator.beta(alpha, alpha)), partner()
    samples, shares = [sample, other], [share, 1 - share]
    parts = [points_of(one) for one, own in zip(samples, shares, strict=True) if own >= min_share]
    images = blended(sample["images"], other["images"], share)
    return {**sample, "images": images, **joined(parts), "weight": mixed_weight(samples, shares)}


def cutmix(sample: Sample, partner: Partner, generator: np.random.Generator, alpha: float = 1.0) -> Sample:
    """Paste a rectangle of another image, in place, with the points in it (Yun et al. 2019)."""
    refuse_alpha("cutmix", alpha)
    covered, other = covered_by_cut(size_of(sample["images"]), alpha, generator), partner()
    images = sample["images"].copy()
    images[:, covered] = other["images"][:, covered]
    parts = []
    for one, is_shown in ((sample, ~covered), (other, covered)):
        points, labels = points_of(one)
        last = np.array(is_shown.shape[::-1]) - 1
        columns, rows = np.clip(np.round(points).astype(int), 0, last).T
        parts.append((points[is_shown[rows, columns]], labels[is_shown[rows, columns]]))
    pasted = float(covered.mean())
    weight = mixed_weight([sample, other], [1 - pasted, pasted])
    return {**sample, "images": images, **joined(parts), "weight": weight}


def mosaic(sample: Sample, partner: Partner, generator: np.random.Generator, least: float = 0.25) -> Sample:
    """Show parts of four images with their points, see `goldfold.samples.mixing.values.mosaic`."""
    refuse_least(least)
    samples = [sample, *(partner() for _ in range(3))]
    images, places, shares = arranged(samples, least, generator)
    parts = [shown(*points_of(one), part, place) for one, (part, place) in zip(samples, places, strict=True)]
    return {**sample, "images": images, **joined(parts), "weight": mixed_weight(samples, shares)}


def points_of(sample: Sample) -> tuple[Points, NDArray[np.int64]]:
    """Points (n, 2) and their classes (n,) of a sample."""
    points = np.asarray(sample["keypoints"], dtype=np.float32).reshape(-1, 2)
    return points, np.asarray(sample["labels"], dtype=np.int64).reshape(-1)


def joined(parts: Sequence[tuple[Points, NDArray[np.int64]]]) -> dict[str, Any]:
    """Fields of a sample with the points of all parts."""
    points = np.concatenate([np.empty((0, 2), np.float32), *(points for points, _ in parts)])
    return {"keypoints": points, "labels": np.concatenate([np.empty(0, np.int64), *(labels for _, labels in parts)])}


def shown(
    points: Points, labels: NDArray[np.int64], part: Rectangle, place: Rectangle
) -> tuple[Points, NDArray[np.int64]]:
    """Move points along with the part of an image that is shown in a rectangle; others are dropped."""
    corner, end = np.array([part.left, part.top]), np.array([part.right, part.bottom])
    scale = np.array([place.width / part.width, place.height / part.height])
    inside = ((points + 0.5 >= corner) & (points + 0.5 <= end)).all(axis=1)
    moved = (points[inside] + 0.5 - corner) * scale + [place.left, place.top] - 0.5
    return moved.astype(np.float32), labels[inside]
