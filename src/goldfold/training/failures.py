"""Errors of libraries that only a setting can mend, with the setting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from goldfold.base.errors import TrainingError

if TYPE_CHECKING:
    from accelerate import Accelerator

    from goldfold.training.spec import Spec


@contextmanager
def explained(spec: Spec, accelerator: Accelerator) -> Iterator[None]:
    """Say what to change where the device's memory does not suffice, or a batch of one image has no statistics."""
    (height, width), train, gpus = spec.size, spec.train, spec.model["gpus"]
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TrainingError(
            f"models ({spec.name}): batch normalisation needs more than one value per channel, but a batch holds one "
            f"image, of which {height} x {width} pixels leave one cell. Give more training images, a "
            f"larger image_size_px{', gpus: 1' * (gpus > 1)} or another network."
        ) from error
    except torch.OutOfMemoryError as error:
        n, half = train.batch_size, train.batch_size // 2
        shrinks = train.on_oom == "shrink"
        ways = [f"train.batch_size: {half} with train.accumulate: {2 * train.accumulate}"] * (half > 1 and not shrinks)
        ways += ["train.on_oom: shrink"] * (gpus == 1 and not shrinks) + ["a smaller image_size_px or network"]
        raise TrainingError(
            f"models ({spec.name}): out of memory on {accelerator.device} with train.batch_size {n} and images of "
            f"{height} x {width} pixels{', even in the smallest pieces' * shrinks}. Set {', or '.join(ways)}."
        ) from error
