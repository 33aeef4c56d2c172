"""Work that does not fit into the device's memory, in smaller pieces."""

import gc
import math
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
import torch


class Batch(Protocol):
    """Samples, as a task's collate makes them: see `goldfold.cases.Batch`."""

    @property
    def ids(self) -> list[str]:
        """Of the samples."""

    def to(self, device: torch.device) -> Any:
        """The batch on ``device``."""

    def rows(self, rows: list[int]) -> Any:
        """Some of the samples."""


B = TypeVar("B", bound=Batch)
T = TypeVar("T")


def as_memory_allows(
    work: Callable[[int], T], size: int, least: int, what: str, undo: Callable[[], None] = lambda: None
) -> tuple[T, int]:
    """``work(size)``, and the size it could be done with: halved, down to ``least``, as often as memory runs out.

    Args:
        what: name of the work, for the line that tells of it.
        undo: makes good what a try that failed has left behind.

    Raises:
        torch.OutOfMemoryError: ``work(least)`` does not fit.
    """
    while True:
        try:
            return work(size), size
        except torch.OutOfMemoryError:
            if size <= least:
                raise
        size = max(least, size // 2)  # outside the handler, which would keep the tensors of the failed try
        undo()
        gc.collect()
        torch.cuda.empty_cache()
        print(f"{what} ran out of memory; at most {size} images are computed at once from here on", flush=True)


def pieces(batch: B, size: int) -> list[B]:
    """``batch`` in pieces of at most ``size`` samples.

    A sample and its mirror in the batch, the two that mixup mixes, stay together where ``size`` is at least two. No
    sample is left alone then: a piece of three may come of an odd batch.
    """
    n = len(batch.ids)
    if n <= size:
        return [batch]
    if size == 1:
        return [batch.rows([row]) for row in range(n)]
    pairs = [sorted({row, n - 1 - row}) for row in reversed(range((n + 1) // 2))]
    runs = np.array_split(np.arange(len(pairs)), min(math.ceil(n / (size // 2 * 2)), n // 2))
    return [batch.rows(sorted(row for number in run for row in pairs[number])) for run in runs]
