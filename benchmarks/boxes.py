"""Weighted boxes fusion against ensemble-boxes: the same boxes, and time per image.

    python benchmarks/boxes.py [--cases 10000] [--images 50] [--members 5] [--boxes 100] [--objects 60] [--repeats 7]

First the boxes, scores and labels of `--cases` random images (1 to 8 members, weights or none, every rule of confidence, scores
with and without ties) are compared to the last bit. Then images of `--members` x `--boxes` boxes are fused by both in turn, in
processor time: `goldfold` with the checks of its input, ensemble-boxes as its documentation shows it. Median over the repeats
(lowest to highest).
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ensemble_boxes import weighted_boxes_fusion

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from goldfold.ensembling.boxes import CONF_TYPES, below_one, fuse, wbf

IOU = 0.55
N_LABELS = 10


def image(drawn: np.random.Generator, members: int, boxes: int, objects: int, has_ties: bool = False) -> Any:
    """Boxes, scores and labels by member, each box one of the objects moved a little."""
    corners = drawn.uniform(0, 0.6, (objects, 2))
    places = np.concatenate([corners, corners + drawn.uniform(0.05, 0.4, (objects, 2))], axis=1)
    classes, made = drawn.integers(0, N_LABELS, objects), ([], [], [])
    for _ in range(members):
        found = drawn.integers(0, objects, boxes)
        scores = drawn.uniform(0.01, 1, boxes)
        made[0].append(np.clip(places[found] + drawn.normal(0, 0.004, (boxes, 4)), 0, 1))
        made[1].append(np.ceil(scores * 20) / 20 if has_ties else scores)
        made[2].append(classes[found])
    return made


def refuse_other_results(cases: int) -> None:
    """End the benchmark if a case is fused to other boxes."""
    for case in range(cases):
        drawn = np.random.default_rng([case, 1])
        members, iou = int(drawn.integers(1, 9)), float(drawn.uniform(0.2, 0.9))
        made = image(drawn, members, int(drawn.integers(1, 12)), int(drawn.integers(1, 12)), has_ties=case % 3 == 0)
        weights = drawn.uniform(0.05, 5, members).tolist() if case % 2 else None
        rule = CONF_TYPES[case // 2 % len(CONF_TYPES)]
        ours = in_order(wbf(made, weights, iou, rule))
        boxes, scores, labels = weighted_boxes_fusion(*made, weights=weights, iou_thr=iou, conf_type=rule)
        scores = below_one(scores) if rule == "avg" and members > 1 and weights else scores
        theirs = in_order((boxes, scores, labels))
        if not all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True)):
            sys.exit(f"case {case} ({rule}): goldfold and ensemble-boxes differ")
    print(f"{cases:,} cases: equal to the last bit", flush=True)


def in_order(found: Any) -> list[Any]:
    """Boxes, scores and labels by score, label and coordinates."""
    boxes, scores, labels = found
    order = np.lexsort((*boxes.T, labels, scores))
    return [boxes[order], scores[order], labels[order]]


def seconds(one: Callable[[Any], Any], images: list[Any]) -> float:
    """Processor time per image."""
    start = time.process_time()
    for made in images:
        one(made)
    return (time.process_time() - start) / len(images)


def text(values: list[float], unit: str) -> str:
    """Median (lowest to highest)."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f}){unit}"


def main() -> None:
    """Print whether the results are equal, then both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    defaults = {"cases": 10_000, "images": 50, "members": 5, "boxes": 100, "objects": 60, "repeats": 7}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    refuse_other_results(given.cases)
    drawn = np.random.default_rng(0)
    images = [image(drawn, given.members, given.boxes, given.objects) for _ in range(given.images)]
    ours, theirs = [], []
    for _ in range(given.repeats):
        ours.append(1000 * seconds(lambda made: fuse(wbf, *made, iou_threshold=IOU), images))
        theirs.append(1000 * seconds(lambda made: weighted_boxes_fusion(*made, iou_thr=IOU), images))
    ratios = [other / one for one, other in zip(ours, theirs, strict=True)]
    print(f"goldfold {text(ours, ' ms')}, ensemble-boxes {text(theirs, ' ms')}, ratio {text(ratios, '')}")


if __name__ == "__main__":
    main()
