"""Mixing of images with boxes: boxes shrink to what is still seen of them, and are dropped if little is.

The share that is seen is a share of the box, since the outline of an object is not known.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError
from goldfold.samples.mixing import Partner, Sample, mixed_weight
from goldfold.samples.mixing.maps import refuse_share, some
from goldfold.samples.mixing.regions import Rectangle, arranged, blended, covered_by_cut, size_of
from goldfold.samples.mixing.values import refuse_alpha, refuse_least

Boxes = NDArray[np.float32]
"""(n, 4): x1, y1, x2, y2 in pixels."""
LEAST_SIDE = 1.0
"""Narrower boxes, in pixels, are dropped."""


def mixup(
    sample: Sample, partner: Partner, generator: np.random.Generator, alpha: float = 1.5, min_visible: float = 0.25
) -> Sample:
    """Blend with another image by a share from Beta(alpha, alpha), with the boxes of both (Zhang et al. 2019, section 3.1).

    Unlike in the paper, each object counts fully in the loss, whatever the share of its image (as in YOLOX, Ge et al. 2021);
    the weight of the sample is the mean of both by their shares.

    Args:
        alpha: the paper's 1.5; the larger, the more equal are the shares.
        min_visible: boxes of an image with a smaller share are dropped.
    """
    refuse_alpha("mixup", alpha)
    refuse_visible(min_visible)
    share, other = float(generator.beta(alpha, alpha)), partner()
    samples, shares = [sample, other], [share, 1 - share]
    seen = [one for one, own in zip(samples, shares, strict=True) if own >= min_visible]
    boxes = np.concatenate([np.empty((0, 4), np.float32), *map(boxes_of, seen)])
    labels = np.concatenate([np.empty(0, np.int64), *map(labels_of, seen)])
    images = blended(sample["images"], other["images"], share)
    return {**sample, "images": images, "bboxes": boxes, "labels": labels, "weight": mixed_weight(samples, shares)}


def cutmix(
    sample: Sample, partner: Partner, generator: np.random.Generator, alpha: float = 1.0, min_visible: float = 0.25
) -> Sample:
    """Paste a rectangle of another image, in place, with the boxes in it.

    Args:
        min_visible: boxes of which a smaller share is still seen are dropped.
    """
    refuse_alpha("cutmix", alpha)
    refuse_visible(min_visible)
    covered = covered_by_cut(size_of(sample["images"]), alpha, generator)
    return _pasted(sample, partner(), covered, min_visible)


def mosaic(
    sample: Sample, partner: Partner, generator: np.random.Generator, least: float = 0.25, min_visible: float = 0.25
) -> Sample:
    """Show parts of four images with their boxes, clipped, see `goldfold.samples.mixing.values.mosaic`.

    Args:
        min_visible: boxes of which a smaller share is inside the part are dropped.
    """
    refuse_least(least)
    refuse_visible(min_visible)
    samples = [sample, *(partner() for _ in range(3))]
    images, places, shares = arranged(samples, least, generator)
    found = [
        shown(boxes_of(one), labels_of(one), part, place, min_visible)
        for one, (part, place) in zip(samples, places, strict=True)
    ]
    boxes, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return {**sample, "images": images, "bboxes": boxes, "labels": labels, "weight": mixed_weight(samples, shares)}


def copy_paste(
    sample: Sample, partner: Partner, generator: np.random.Generator, share: float = 0.5, min_visible: float = 0.25
) -> Sample:
    """Paste the pixels in some boxes of another image, in place (after Ghiasi et al. 2021, with boxes for outlines).

    Args:
        share: probability that a box is pasted; at least one is, if there is any.
        min_visible: boxes of which a smaller share is still seen are dropped.
    """
    refuse_share(share)
    refuse_visible(min_visible)
    other, covered = partner(), np.zeros(size_of(sample["images"]), bool)
    boxes = boxes_of(other)
    if not len(boxes):
        return sample
    for number in some(len(boxes), share, generator):
        covered[_pixels(boxes[number]).of_map] = True
    return _pasted(sample, other, covered, min_visible)


def boxes_of(sample: Sample) -> Boxes:
    """Boxes (n, 4) of a sample, which augmentation may have left as a list."""
    return np.asarray(sample["bboxes"], dtype=np.float32).reshape(-1, 4)


def labels_of(sample: Sample) -> NDArray[np.int64]:
    """Classes (n,) of its boxes."""
    return np.asarray(sample["labels"], dtype=np.int64).reshape(-1)


def shown(
    boxes: Boxes, labels: NDArray[np.int64], part: Rectangle, place: Rectangle, min_visible: float
) -> tuple[Boxes, NDArray[np.int64]]:
    """Move boxes along with the part of an image that is shown in a rectangle, and clip them to it."""
    scale = np.array([place.width / part.width, place.height / part.height] * 2, np.float32)
    moved = (boxes - np.array([part.left, part.top] * 2, np.float32)) * scale
    moved += np.array([place.left, place.top] * 2, np.float32)
    edges = np.array([[place.left, place.top], [place.right, place.bottom]], np.float32)
    clipped = np.clip(moved.reshape(-1, 2, 2), edges[0], edges[1]).reshape(-1, 4)
    kept = (_areas(clipped) >= min_visible * _areas(moved)) & _is_wide(clipped)
    return clipped[kept], labels[kept]


def visible(
    boxes: Boxes, labels: NDArray[np.int64], hidden: NDArray[np.bool_], min_visible: float
) -> tuple[Boxes, NDArray[np.int64]]:
    """Shrink each box to the pixels in it that are not hidden (height, width), and drop those with too few.

    A side moves only where a whole row or column of the box is hidden.
    """
    found: list[tuple[Any, int]] = []
    for box, label in zip(boxes, labels.tolist(), strict=True):
        place = _pixels(box)
        seen = ~hidden[place.of_map]
        if seen.size and seen.any() and seen.mean() >= min_visible:
            rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
            left, top = place.left + columns[0], place.top + rows[0]
            right, bottom = place.left + columns[-1] + 1, place.top + rows[-1] + 1
            # where no pixel is hidden at a side, the box keeps its fraction of a pixel
            shrunk = [max(box[0], left), max(box[1], top), min(box[2], right), min(box[3], bottom)]
            found.append((shrunk, label))
    made = np.array([box for box, _ in found], np.float32).reshape(-1, 4)
    kept = _is_wide(made)
    return made[kept], np.array([label for _, label in found], np.int64)[kept]


def refuse_visible(least: float) -> None:
    """Raise ConfigError where the least share of a box that is seen is no share."""
    if not 0 <= least <= 1:
        raise ConfigError(f"min_visible = {least:g} must be between 0 and 1, a share of the box")


def _pasted(sample: Sample, other: Sample, covered: NDArray[np.bool_], min_visible: float) -> Sample:
    """Replace the covered pixels (height, width) of an image by those of another, with the boxes of both."""
    images = sample["images"].copy()
    images[:, covered] = other["images"][:, covered]
    parts = [
        visible(boxes_of(one), labels_of(one), hidden, min_visible)
        for one, hidden in ((sample, covered), (other, ~covered))
    ]
    boxes, labels = (np.concatenate(found) for found in zip(*parts, strict=True))
    pasted = float(covered.mean())
    weight = mixed_weight([sample, other], [1 - pasted, pasted])
    return {**sample, "images": images, "bboxes": boxes, "labels": labels, "weight": weight}


def _pixels(box: NDArray[np.float32]) -> Rectangle:
    """Pixels that a box touches."""
    left, top = np.floor(box[:2]).astype(int).tolist()
    right, bottom = np.ceil(box[2:]).astype(int).tolist()
    return Rectangle(max(top, 0), max(left, 0), max(bottom, 0), max(right, 0))


def _areas(boxes: Boxes) -> NDArray[np.float32]:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _is_wide(boxes: Boxes) -> NDArray[np.bool_]:
    return np.all(boxes[:, 2:] - boxes[:, :2] >= LEAST_SIDE, axis=1)
