"""Fusion of the detections of several members, with ensemble-boxes.

Boxes are x1, y1, x2, y2, scaled to 0..1. Inputs are checked here, since on bad input the library prints, warns or exits.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goldfold.base.bound import parts_of
from goldfold.base.errors import ConfigError, DataError, shown

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Detections = tuple[Floats, Floats, Ints]
"""Boxes (n, 4), scores (n,) and labels (n,)."""
Members = tuple[Sequence[ArrayLike], Sequence[ArrayLike], Sequence[ArrayLike]]
"""Boxes, scores and labels of one image, each with one entry per member."""
Lists = tuple[list[Floats], list[Floats], list[Ints]]
"""Checked `Members`."""
Method = Callable[[Lists, list[float] | None, float], tuple[Any, Any, Any]]
"""(lists, weights, IoU threshold) -> boxes, scores and labels."""

CONF_TYPES = ("avg", "max", "box_and_model_avg", "absent_model_aware_avg")
"""Ways of `wbf` to score a cluster."""
ROUNDING = 1e-6
"""Numbers outside 0..1 by up to this are clipped."""
BENT_FROM = 0.99
"""Score from which scores are bent, by a rule that may lift them above 1."""
TINY = 1e-12
"""Scores, and weights relative to the largest, count as 0 up to this: the library divides by them in float32."""
LEAST_POOL_IMAGES = 256
"""Fewer images are fused in this process, since each process of a pool takes seconds to compile ensemble-boxes."""
LEAST_POOL_IMAGES_OF_WBF = 20_000
"""The same for `wbf`, which takes half a millisecond per image."""


def wbf(
    members: Lists, weights: list[float] | None, iou: float, conf_type: str = "avg", allows_overflow: bool = False
) -> tuple[Any, Any, Any]:
    """Weighted boxes fusion (Solovyev et al. 2021): boxes of a cluster are averaged by score.

    The score of a cluster is the mean over its boxes, scaled down if members are missing from it. ``avg`` may lift it above 1, of
    several boxes of one member with a large weight; such scores are bent below 1 by `below_one`.

    Args:
        conf_type, allows_overflow: as in ensemble-boxes; `CONF_TYPES` are known.

    Raises:
        ConfigError: ``conf_type`` is another.
    """
    if conf_type not in CONF_TYPES:
        raise ConfigError(f"wbf: conf_type = {shown(conf_type)}: must be {', '.join(CONF_TYPES)}")
    from goldfold.ensembling.weighted_boxes import fused  # numba takes a second to import

    boxes, scores, labels = np.concatenate(members[0]), np.concatenate(members[1]), np.concatenate(members[2])
    of_members = np.repeat(np.arange(len(members[0])), [len(part) for part in members[0]])
    shares = np.ones(len(members[0])) if weights is None else np.array(weights)
    found = fused(boxes, scores, labels, of_members, shares, iou, conf_type, allows_overflow)
    if conf_type == "avg" and (allows_overflow or shares.min() < shares.max()):
        return found[0], below_one(found[1]), found[2]
    return found


def below_one(scores: Floats) -> Floats:
    """Scores of 0 and more, those above `BENT_FROM` bent below 1: in the same order, so that no ranking changes.

    >>> below_one(np.array([0.5, 0.99, 1.0, 2.0])).round(4).tolist()
    [0.5, 0.99, 0.995, 0.9999]
    """
    room = 1 - BENT_FROM
    over = (scores - BENT_FROM).clip(0)
    return np.where(over > 0, 1 - room**2 / (over + room), scores)


def nms(members: Lists, weights: list[float] | None, iou: float) -> tuple[Any, Any, Any]:
    """Non-maximum suppression: keeps the best of overlapping boxes.

    Without weights scores are unchanged; otherwise they are multiplied by weight / sum of weights.
    """
    from ensemble_boxes import nms as library_nms

    return library_nms(*members, weights=weights, iou_thr=iou)


def soft_nms(
    members: Lists, weights: list[float] | None, iou: float, sigma: float = 0.5, threshold: float = 0.001
) -> tuple[Any, Any, Any]:
    """Gaussian soft-NMS (Bodla et al. 2017), which ignores ``iou``.

    As in ensemble-boxes 1.0.9, a box is removed when its decayed score falls to ``threshold``, but remaining boxes keep
    their original score, weighted as in `nms`.

    Args:
        sigma: width of the decay, above 0.
        threshold: decayed score of 0 to 1 at which a box is removed.

    Raises:
        ConfigError: one of them is outside its range.
    """
    if not sigma > 0:
        raise ConfigError(f"soft_nms: sigma = {sigma:g}: must be above 0")
    if not 0 <= threshold <= 1:
        raise ConfigError(f"soft_nms: threshold = {threshold:g}: must be from 0 to 1")
    from ensemble_boxes import soft_nms as library_soft_nms

    return library_soft_nms(*members, weights=weights, iou_thr=iou, sigma=sigma, thresh=threshold)


def nmw(members: Lists, weights: list[float] | None, iou: float) -> tuple[Any, Any, Any]:
    """Non-maximum weighted (Zhou et al. 2017): boxes are averaged, weighted by score and overlap with their cluster's best.

    The score is that of the best box, times weight / largest weight.
    """
    from ensemble_boxes import non_maximum_weighted

    return non_maximum_weighted(*members, weights=weights, iou_thr=iou)


def fuse(
    method: Method,
    boxes_list: Sequence[ArrayLike],
    scores_list: Sequence[ArrayLike],
    labels_list: Sequence[ArrayLike],
    weights: Sequence[float] | None = None,
    iou_threshold: float = 0.55,
    skip_threshold: float = 0.0,
) -> Detections:
    """Fuse the members' detections of one image; sorted by descending score, then by label, then by coordinates.

    The result of ensemble-boxes, except that scores stay below 1 (see `wbf`), and that members of weight 0, boxes of score 0 and
    boxes without area are left out first (the library divides by zero on some of these).

    Args:
        boxes_list: per member (n, 4), possibly empty; scaled to 0..1, within 1e-6.
        scores_list: per member (n,), in 0..1.
        labels_list: per member (n,), class indices; boxes of different labels are never fused.
        weights: one per member, not negative; None: equal weights.
        iou_threshold: boxes with a larger overlap count as one object.
        skip_threshold: boxes with a score, before weighting, below this are left out.

    Raises:
        ConfigError: invalid weights or thresholds.
        DataError: boxes, scores or labels are not as above.
    """
    shares = _checked_settings(len(boxes_list), weights, iou_threshold, skip_threshold)
    if not len(boxes_list) == len(scores_list) == len(labels_list):
        counts = f"{len(boxes_list)}, {len(scores_list)} and {len(labels_list)}"
        raise DataError(f"boxes, scores and labels are of {counts} members. Give one entry per member in each.")
    inputs = enumerate(zip(boxes_list, scores_list, labels_list, strict=True))
    members = [_checked_member(number, *member, skip_threshold) for number, member in inputs]
    kept = [member for member, share in zip(members, shares, strict=True) if share > 0]
    if not any(len(scores) for _, scores, _ in kept):
        return np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64)
    lists = [member[0] for member in kept], [member[1] for member in kept], [member[2] for member in kept]
    given = None if weights is None else [share for share in shares if share > 0]
    return _in_order(*method(lists, given, iou_threshold))


def fuse_images(
    method: Method,
    images: Sequence[Members],
    weights: Sequence[float] | None = None,
    iou_threshold: float = 0.55,
    skip_threshold: float = 0.0,
    workers: int = 1,
) -> list[Detections]:
    """`fuse` each image, in the order given; the result does not depend on ``workers``.

    Args:
        images: per image (boxes_list, scores_list, labels_list), as for `fuse`.
        workers: number of processes; fewer than 256 images, or 20,000 by `wbf`, are fused in this process.

    Raises:
        ConfigError: as `fuse`, or workers below 1.
        DataError: as `fuse`, prefixed with the position of the image.
    """
    if workers < 1:
        raise ConfigError(f"workers: {workers}. It must be 1 or more.")
    one = partial(_fuse_numbered, method, weights, iou_threshold, skip_threshold)
    if workers == 1 or len(images) < _least_pool_images(method):
        return [one(numbered) for numbered in enumerate(images)]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(one, enumerate(images), chunksize=-(-len(images) // (4 * workers))))


def _least_pool_images(method: Method) -> int:
    return LEAST_POOL_IMAGES_OF_WBF if parts_of(method)[0] is wbf else LEAST_POOL_IMAGES


def _fuse_numbered(
    method: Method,
    weights: Sequence[float] | None,
    iou_threshold: float,
    skip_threshold: float,
    numbered: tuple[int, Members],
) -> Detections:
    number, members = numbered
    try:
        return fuse(method, *members, weights, iou_threshold, skip_threshold)
    except DataError as error:
        raise DataError(f"image {number}: {error}") from error


def _in_order(boxes: Any, scores: Any, labels: Any) -> Detections:
    boxes = np.asarray(boxes, dtype=np.float64).clip(0, 1)
    scores = np.asarray(scores, dtype=np.float64).clip(0, 1)
    labels = np.asarray(labels).astype(np.int64)
    order = np.lexsort((*boxes.T[::-1], labels, -scores))
    return boxes[order], scores[order], labels[order]


def _checked_settings(
    n_members: int, weights: Sequence[float] | None, iou_threshold: float, skip_threshold: float
) -> list[float]:
    for name, value in (("iou_threshold", iou_threshold), ("skip_threshold", skip_threshold)):
        if not 0 <= value <= 1:
            raise ConfigError(f"{name}: {value}. It must be in 0..1.")
    shares = [1.0] * n_members if weights is None else [float(weight) for weight in weights]
    if len(shares) != n_members:
        raise ConfigError(f"weights: {len(shares)} for {n_members} members. Give one per member.")
    if not all(np.isfinite(share) and share >= 0 for share in shares):
        raise ConfigError(f"weights: {shares}. None may be negative, infinite or NaN.")
    if shares and not any(shares):
        raise ConfigError("weights: all are 0. At least one must be above 0.")
    shares = [share / max(shares) for share in shares]
    return [share if share > TINY else 0.0 for share in shares]


def _checked_member(
    number: int, boxes: ArrayLike, scores: ArrayLike, labels: ArrayLike, skip_threshold: float
) -> Detections:
    """Return the checked arrays of one member, without boxes of score 0, below the threshold or without area."""
    where = f"member {number}"
    boxes, scores, labels = np.asarray(boxes, np.float64), np.asarray(scores, np.float64), np.asarray(labels)
    if not len(boxes) == len(scores) == len(labels):
        raise DataError(
            f"{where}: {len(boxes)} boxes, {len(scores)} scores and {len(labels)} labels. The numbers must be equal."
        )
    if len(boxes) and (boxes.shape[1:] != (4,) or scores.ndim != 1 or labels.ndim != 1):
        shapes = f"{boxes.shape}, {scores.shape} and {labels.shape}"
        raise DataError(f"{where}: boxes, scores and labels have shapes {shapes}. They must be (n, 4), (n,) and (n,).")
    boxes = boxes.reshape(-1, 4)
    _check_numbers(where, boxes, scores, labels)
    boxes, scores = boxes.clip(0, 1), scores.clip(0, 1)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = (scores >= skip_threshold) & (scores > TINY) & (area > 0)
    return boxes[kept], scores[kept], labels[kept].astype(np.int64)


def _check_numbers(where: str, boxes: Floats, scores: Floats, labels: NDArray[Any]) -> None:
    faults = (
        (~np.isfinite(boxes).all(axis=1), "a coordinate is NaN or infinite"),
        (~np.isfinite(scores), "the score is NaN or infinite"),
        (
            (boxes[:, :2] > boxes[:, 2:]).any(axis=1),
            "the box is reversed; write x1, y1, x2, y2 with x1 <= x2, y1 <= y2",
        ),
        (_outside(boxes).any(axis=1), "the box is outside 0..1; divide by the image's width and height"),
        (_outside(scores), "the score is outside 0..1"),
        (labels != np.floor(labels), "the label is not an integer") if len(labels) else (np.zeros(0, bool), ""),
    )
    for faulty, what in faults:
        if faulty.any():
            row = int(faulty.argmax())
            raise DataError(f"{where}: box {row} {boxes[row].tolist()}, score {scores[row]}: {what}.")


def _outside(values: Floats) -> NDArray[np.bool_]:
    return (values < -ROUNDING) | (values > 1 + ROUNDING)
