"""Seeding: the only module that sets global random states, always from counters."""

import os
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch

from goldfold.base.counter import counter

T = TypeVar("T")


@contextmanager
def seeded(*parts: int | str) -> Iterator[None]:
    """Seed all global generators (torch, numpy, random) from ``parts`` within the block; restore them afterwards."""
    seed = counter(*parts)
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if torch.cuda.is_available() else []):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


def same_draws(items: Sequence[T]) -> Iterator[T]:
    """Yield each item with the generators of numpy and random (not torch) reset to their state before the first."""
    states = (random.getstate(), np.random.get_state()) if len(items) > 1 else None
    for item in items:
        if states is not None:
            random.setstate(states[0])
            np.random.set_state(states[1])
        yield item


def deterministic(threads: int) -> None:
    """Make torch deterministic, with ``threads`` intra-op threads."""
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = False
    # Same as torch.use_deterministic_algorithms(True, warn_only=True), which also imports the compiler: 1.3 s per job.
    torch.set_deterministic_debug_mode("warn")
    os.environ["TORCHINDUCTOR_DETERMINISTIC"] = "1"  # read by the compiler, for networks that compile themselves
    if compiler := sys.modules.get("torch._inductor.config"):
        compiler.deterministic = True  # type: ignore[attr-defined]
    # Otherwise torch also fills every new tensor with NaN, which changes no result computed from initialised memory.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
