"""Split work into smaller pieces when the device runs out of memory."""

import gc
import math
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
import torch


class Batch(Protocol):
    """Batch of samples as made by a task's collate, see `goldfold.cases.Batch`."""

    @property
    def ids(self) -> list[str]:
        """Ids of the samples."""

    def to(self, device: torch.device) -> Any:
        """Return the batch on ``device``."""

    def rows(self, rows: list[int]) -> Any:
        """Return a batch of the selected samples."""


B = TypeVar("B", bound=Batch)
T = TypeVar("T")


def as_memory_allows(
    work: Callable[[int], T], size: int, least: int, what: str, undo: Callable[[], None] = lambda: None
) -> tuple[T, int]:
    """Return ``work(size)`` and the size used; whenever memory runs out, the size is halved, down to ``least``.

    Args:
        what: name of the work, for the log line.
        undo: undoes a failed attempt.

    Raises:
        torch.OutOfMemoryError: ``work(least)`` does not fit.
    """
    while True:
        try:
            return work(size), size
        except torch.OutOfMemoryError:
            if size <= least:
                raise
        size = max(least, size // 2)  # outside the handler, which would keep the tensors of the failed attempt
        undo()
        gc.collect()
        torch.cuda.empty_cache()
        print(f"{what} ran out of memory; from now on at most {size} images are computed at once", flush=True)


def pieces(batch: B, size: int) -> list[B]:
    """Split ``batch`` into pieces of at most ``size`` samples and of about equal size, in order.

    If ``size`` is at least two, no piece has a single sample, so that an odd batch may give a piece of three.
    """
    n = len(batch.ids)
    if n <= size:
        return [batch]
    parts = n if size == 1 else min(math.ceil(n / size), n // 2)
    return [batch.rows(rows.tolist()) for rows in np.array_split(np.arange(n), parts)]
