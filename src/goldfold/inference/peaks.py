"""Points of heat maps: local maxima, to the fraction of a pixel."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

LEAST_SCORE = 0.02
"""Lower maxima are no points, whatever the threshold."""
MOST_POINTS = 2000
"""Most points of one class in an image; of more, those of the highest score are kept."""
Found = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]
"""Points (n, 2) x, y, scores (n,) and labels (n,) of one image, by descending score."""


def peaks(maps: Tensor, size: tuple[int, int]) -> list[Found]:
    """Find the local maxima of probabilities.

    A maximum is the largest value of 3 x 3 pixels (of equal ones the first); its place is the top of the parabola through
    the logarithms of it and its neighbours, down and across, which is exact for a Gaussian.

    Args:
        maps: (images, classes, height, width), 0..1.
        size: height and width of the images in pixels, whose points are returned.
    """
    maps = maps.float()
    height, width = maps.shape[-2:]
    is_top = (maps == functional.max_pool2d(maps, 3, stride=1, padding=1)) & (maps >= LEAST_SCORE)
    is_top &= ~_again(is_top)
    logs = functional.pad(maps.clamp(min=1e-6).log(), (1, 1, 1, 1), mode="replicate")
    found = []
    for image in range(len(maps)):
        classes, rows, columns = is_top[image].nonzero(as_tuple=True)
        scores = maps[image, classes, rows, columns]
        y, x = rows + 1, columns + 1
        of = logs[image]
        middle = of[classes, y, x]
        down = _top(of[classes, y - 1, x], middle, of[classes, y + 1, x]) * ((rows > 0) & (rows < height - 1))
        across = _top(of[classes, y, x - 1], middle, of[classes, y, x + 1]) * ((columns > 0) & (columns < width - 1))
        points = torch.stack(
            [(columns + 0.5 + across) * (size[1] / width), (rows + 0.5 + down) * (size[0] / height)], 1
        )
        found.append(_best(*(part.cpu().numpy() for part in (points, scores, classes))))
    return found


def _again(is_top: Tensor) -> Tensor:
    """Maxima beside an equal one above or to the left, of which only the first counts."""
    shifted = [
        functional.pad(is_top, pad)[..., : is_top.shape[-2], : is_top.shape[-1]]
        for pad in ((1, 0), (0, 0, 1, 0), (1, 0, 1, 0))
    ]
    right = functional.pad(is_top, (0, 1, 1, 0))[..., : is_top.shape[-2], 1:]
    return shifted[0] | shifted[1] | shifted[2] | right


def _top(before: Tensor, middle: Tensor, after: Tensor) -> Tensor:
    """Place of the top of a parabola through three values, from -0.5 to 0.5."""
    bend = 2 * middle - before - after
    shift = torch.where(bend > 1e-9, (after - before) / (2 * bend.clamp(min=1e-9)), torch.zeros_like(bend))
    return shift.clamp(-0.5, 0.5)


def _best(points: NDArray[Any], scores: NDArray[Any], labels: NDArray[Any]) -> Found:
    """Points by descending score, at most `MOST_POINTS` of each class."""
    order = np.argsort(-scores, kind="stable")
    sorted_labels = labels[order]
    by_class = np.argsort(sorted_labels, kind="stable")
    place = np.empty(len(order), np.int64)
    place[by_class] = np.arange(len(order)) - np.searchsorted(sorted_labels[by_class], sorted_labels[by_class])
    kept = order[place < MOST_POINTS]
    return points[kept].astype(np.float32), scores[kept].astype(np.float32), labels[kept].astype(np.int64)
