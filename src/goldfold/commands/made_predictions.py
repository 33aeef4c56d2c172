"""Made-up predictions of two members, and their truth, by task: what the metric and the steps of a config are tried on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.metrics.instances import LEVELS, Counted, Matches
from goldfold.metrics.segmentation import Overlap
from goldfold.metrics.surfaces import Pairs
from goldfold.targets import boxes, points
from goldfold.targets.label_sets import to_text
from goldfold.targets.mask_coding import IGNORE
from goldfold.tasks.detection.boxes import arrays as of_boxes
from goldfold.tasks.points.arrays import arrays as of_points
from goldfold.tasks.regression.output import arrays as of_numbers

N_CASES = 24
"""Made-up cases."""
GRADES = 5
"""Made-up numbers are whole numbers from 0 to 4, which metrics of grades take too."""
SIDE = 64
"""Height and width of made-up images in pixels."""
TASKS = ("classification", "ordinal", "multilabel", "regression", "segmentation", "detection", "points")
"""Tasks whose predictions can be made up."""


@dataclass(frozen=True)
class Made:
    """Predictions of two members, the truth as a table, and evidence of the first member where the truth is in files."""

    task: str
    classes: list[str]
    members: list[Any]
    truth: pd.DataFrame
    evidence: Any = None


def made_up(task: str, n_classes: int) -> Made:
    """Make up predictions for one of `TASKS`, always the same."""
    ids = np.array([f"case{number:02d}" for number in range(N_CASES)])
    classes = ["0 to 4"] if task == "regression" else [f"class {number}" for number in range(max(2, n_classes))]
    return _BY_TASK[task](ids, classes, np.random.default_rng(0))


def _logits(ids: NDArray[Any], classes: Sequence[str], draw: np.random.Generator) -> list[Any]:
    shape = len(ids), len(classes)
    logits = [draw.normal(size=shape).astype(np.float32) for _ in range(2)]
    return [{"ids": ids, "classes": np.array(classes), "logits": one} for one in logits]


def _label(ids: NDArray[Any], classes: list[str], draw: np.random.Generator) -> Made:
    truth = pd.DataFrame({"id": ids, "label": _in_turn(classes)})
    return Made("classification", classes, _logits(ids, classes, draw), truth)


def _grade(ids: NDArray[Any], classes: list[str], draw: np.random.Generator) -> Made:
    return replace(_label(ids, classes, draw), task="ordinal")


def _labels(ids: NDArray[Any], classes: list[str], draw: np.random.Generator) -> Made:
    truth = pd.DataFrame({"id": ids, "labels": [to_text([one]) for one in _in_turn(classes)]})
    return Made("multilabel", classes, _logits(ids, classes, draw), truth)


def _value(ids: NDArray[Any], classes: list[str], draw: np.random.Generator) -> Made:
    true = np.arange(N_CASES) % GRADES
    members = [of_numbers(classes, ids, true + draw.normal(size=N_CASES), np.zeros(N_CASES)) for _ in range(2)]
    return Made("regression", classes, members, pd.DataFrame({"id": ids, "value": true.astype(str)}))


def _mask(ids: NDArray[Any], classes: list[str], draw: np.random.Generator) -> Made:
    head = {"ids": ids, "classes": np.array(classes), "sizes": np.full((N_CASES, 2), SIDE, np.int32)}
    maps = [draw.integers(0, 128, (N_CASES, 1, SIDE, SIDE)).astype(np.uint8) for _ in range(2)]
    members = [{**head, **{f"maps/{row}": one for row, one in enumerate(own)}} for own in maps]
    both, predicted, true = (draw.integers(1, SIDE, (N_CASES, len(classes))) for _ in range(3))
    masks = draw.integers(0, 1 + len(classes), (N_CASES, 2, SIDE, SIDE)).astype(np.uint8)
    pairs = Pairs(lambda: ((one[0], one[1]) for one in masks), range(1, 1 + len(classes)), IGNORE)
    found, of_true = (draw.integers(1, 9, (N_CASES, len(classes))) for _ in range(2))
    hits = np.minimum(found, of_true)[..., None] // np.arange(1, 1 + len(LEVELS))
    instances = Counted(lambda: Matches(hits, found, of_true))
    evidence = Overlap(both, predicted, true, pairs, None, instances)
    return Made("segmentation", classes, members, pd.DataFrame({"id": ids}), evidence)


def _boxes(ids: NDArray[Any], classes: list[str], draw: np.random.Generator) -> Made:
    corner, side = draw.uniform(0, SIDE / 2, (N_CASES, 2)), draw.uniform(4, SIDE / 2 - 2, (N_CASES, 2))
    true, places = np.concatenate([corner, corner + side], axis=1), np.arange(N_CASES) % len(classes)
    sizes = np.full((N_CASES, 2), SIDE)
    found = [
        [(np.clip(box + draw.normal(size=4), 0, SIDE), [draw.uniform()], [at]) for box, at in zip(true, places, strict=True)]
        for _ in range(2)
    ]  # fmt: skip
    texts = [boxes.to_text([classes[place]], box) for box, place in zip(true, places, strict=True)]
    members = [of_boxes(classes, ids, sizes, one) for one in found]
    return Made("detection", classes, members, pd.DataFrame({"id": ids, "boxes": texts}))


def _points(ids: NDArray[Any], classes: list[str], draw: np.random.Generator) -> Made:
    true, places = draw.uniform(4, SIDE - 4, (N_CASES, 2)), np.arange(N_CASES) % len(classes)
    sizes = np.full((N_CASES, 2), SIDE)
    found = [
        [([point + draw.normal(size=2)], [draw.uniform()], [at]) for point, at in zip(true, places, strict=True)]
        for _ in range(2)
    ]  # fmt: skip
    texts = [points.to_text([classes[place]], point) for point, place in zip(true, places, strict=True)]
    members = [of_points(classes, ids, sizes, one) for one in found]
    return Made("points", classes, members, pd.DataFrame({"id": ids, "points": texts}))


def _in_turn(classes: Sequence[str]) -> list[str]:
    return [classes[place % len(classes)] for place in range(N_CASES)]


_BY_TASK: dict[str, Callable[[NDArray[Any], list[str], np.random.Generator], Made]] = {
    "classification": _label,
    "ordinal": _grade,
    "multilabel": _labels,
    "regression": _value,
    "segmentation": _mask,
    "detection": _boxes,
    "points": _points,
}
