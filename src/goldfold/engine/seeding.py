"""The one place that sets global random states, and only from counters."""

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
    """Within the block, all global generators (torch, numpy, random) draw from a state made of ``parts`` alone."""
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
    """Each item, with the generators of numpy and random (not torch's) as they were before the first."""
    states = (random.getstate(), np.random.get_state()) if len(items) > 1 else None
    for item in items:
        if states is not None:
            random.setstate(states[0])
            np.random.set_state(states[1])
        yield item


def deterministic(threads: int) -> None:
    """Ask torch for the same bytes every time, with this many arithmetic threads."""
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = False
    # As torch.use_deterministic_algorithms(True, warn_only=True), which also imports the compiler: 1.3 s in every job.
    torch.set_deterministic_debug_mode("warn")
    os.environ["TORCHINDUCTOR_DETERMINISTIC"] = "1"  # read by the compiler when a network that compiles itself loads it
    if compiler := sys.modules.get("torch._inductor.config"):
        compiler.deterministic = True  # type: ignore[attr-defined]
    # Else torch also writes NaN into every fresh tensor, which changes no result that is computed from what was written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
