"""Metrics of the user, which may write into their arguments."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from goldfold.metrics import Metric
from goldfold.metrics.detection import compare


@dataclass(frozen=True, slots=True)
class Slotted:
    predicted: np.ndarray

    def __len__(self) -> int:
        return len(self.predicted)

    def arguments(self, rows: Any) -> tuple[np.ndarray]:
        return (self.predicted,)


def erasing(found: Any, *rows: Any) -> float:
    getattr(found, "score", found)[:] = 0
    return 1.0


def test_a_metric_that_writes_into_its_arguments_changes_no_evidence() -> None:
    slotted = Slotted(np.ones(3))
    boxes = compare([([[0, 0, 5, 5]], [0])], [([[0, 0, 5, 5]], [0.5], [0])], 1)
    for evidence, values in ((slotted, slotted.predicted), (boxes, boxes.score)):
        before = values.copy()
        assert Metric(erasing).value(evidence, np.arange(len(evidence))) == 1
        assert np.array_equal(values, before)
