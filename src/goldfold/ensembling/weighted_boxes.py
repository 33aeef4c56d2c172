"""Weighted boxes fusion (Solovyev et al. 2021), compiled by numba.

The arithmetic is that of ensemble-boxes 1.0.9, rounding included: the sums of a cluster are kept in float32, and a box that is
alone in its cluster is not rounded.
"""

from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def fused(
    boxes: Floats,
    scores: Floats,
    labels: Ints,
    members: Ints,
    shares: Floats,
    iou: float,
    conf_type: str,
    overflows: bool,
) -> tuple[Floats, Floats, Ints]:
    """Fuse the boxes of one image; return boxes, scores and labels (clusters,).

    Args:
        boxes: (n, 4) with an area; ``scores``, ``labels`` and ``members`` (n,) are of each box, ``members`` in ascending order.
        shares: weights (members,), above 0.
        iou: a box joins only a cluster whose mean box it overlaps by more.
        conf_type, overflows: see `goldfold.ensembling.boxes.wbf`.
    """
    weights = shares[members]
    weighted = scores * weights
    rows, starts = _by_label(weighted, labels)
    given = boxes[rows], weighted[rows], weights[rows]
    means, of_clusters, totals, sizes, places = _compiled()(*given, starts, float(iou), conf_type == "max")
    of_labels = np.empty(len(sizes), np.int64)
    of_labels[places] = labels[rows]
    if conf_type == "max":
        return means, of_clusters / shares.max(), of_labels
    if conf_type == "avg":
        counted = sizes if overflows else np.minimum(len(shares), sizes)
        return means, of_clusters * counted / shares.sum(), of_labels
    found = np.zeros((len(sizes), len(shares)), bool)
    found[places, members[rows]] = True
    of_boxes = of_clusters * sizes
    if conf_type == "box_and_model_avg":
        return means, of_boxes / totals * _sums(shares, found) / shares.sum(), of_labels
    return means, of_boxes / (totals + _sums(shares, ~found)), of_labels


def _sums(shares: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Sum of the chosen shares (clusters,), each of these alone: NumPy's sum rounds as the number of its terms says."""
    return np.array([shares[row].sum() for row in chosen])


def _by_label(weighted: Floats, labels: Ints) -> tuple[Ints, Ints]:
    """Order the boxes by label, then by descending score; return it, and where each label starts and the last one ends.

    Boxes of equal scores come as they do in ensemble-boxes, which sorts each label alone, and not stably.
    """
    by_label = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[by_label], prepend=labels[by_label[0]] - 1))
    groups = np.split(by_label, starts[1:])
    return np.concatenate([group[np.argsort(weighted[group])[::-1]] for group in groups]), np.append(
        starts, len(labels)
    )


@cache
def _compiled() -> Any:
    """`_clusters` as machine code, kept beside this file or in the user's folder for caches, if one of them can be written."""
    try:
        return numba.njit(_clusters, cache=True, nogil=True)
    except RuntimeError:
        return numba.njit(_clusters, nogil=True)


def _clusters(
    boxes: Floats, scores: Floats, weights: Floats, starts: Ints, iou: float, is_largest: bool
) -> tuple[Floats, Floats, Floats, Ints, Ints]:
    """Put each box, in the order given, into the cluster of its label whose mean box it overlaps most, or into a new one.

    Returns:
        Mean boxes (clusters, 4) weighted by score, mean or largest score, sum of weights, and number of boxes (clusters,);
        cluster (n,) of each box.
    """
    n, opened = len(boxes), 0
    means, areas, sums = np.empty((n, 4)), np.empty(n), np.zeros((n, 4), np.float32)
    of_scores, largest, totals = np.zeros(n), np.zeros(n), np.zeros(n)
    sizes, places = np.zeros(n, np.int64), np.empty(n, np.int64)
    for label in range(len(starts) - 1):
        first = opened
        for row in range(starts[label], starts[label + 1]):
            x1, y1, x2, y2 = boxes[row]
            area = (x2 - x1) * (y2 - y1)
            best, place = iou, opened
            for other in range(first, opened):
                width = min(means[other, 2], x2) - max(means[other, 0], x1)
                height = min(means[other, 3], y2) - max(means[other, 1], y1)
                if width > 0 and height > 0:
                    shared = width * height
                    overlap = shared / (areas[other] + area - shared)
                    if overlap > best:
                        best, place = overlap, other
            places[row] = place
            sizes[place] += 1
            totals[place] += weights[row]
            of_scores[place] += scores[row]
            largest[place] = max(largest[place], scores[row])
            for side in range(4):
                sums[place, side] = np.float32(sums[place, side] + scores[row] * boxes[row, side])
            if place == opened:
                opened += 1
                means[place], areas[place] = boxes[row], area
                continue
            for side in range(4):
                means[place, side] = np.float32(sums[place, side] / of_scores[place])
            areas[place] = (means[place, 2] - means[place, 0]) * (means[place, 3] - means[place, 1])
    for place in range(opened):
        if sizes[place] > 1:
            of_scores[place] = np.float32(largest[place] if is_largest else of_scores[place] / sizes[place])
            totals[place] = np.float32(totals[place])
    return means[:opened], of_scores[:opened], totals[:opened], sizes[:opened], places
