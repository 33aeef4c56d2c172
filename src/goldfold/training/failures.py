"""Turn library errors into messages that name the setting to change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from goldfold.base.errors import TrainingError
from goldfold.components import name_of

if TYPE_CHECKING:
    from accelerate import Accelerator

    from goldfold.training.spec import Spec


@contextmanager
def readable_errors(spec: Spec, accelerator: Accelerator) -> Iterator[None]:
    """Explain what to change if the device runs out of memory, or if batch norm gets a single value per channel."""
    (height, width), train, gpus = spec.size, spec.train, spec.model["gpus"]
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TrainingError(
            f"models ({spec.name}): batch normalisation needs more than one value per channel, but a batch has one image, "
            f"whose {height} x {width} pixels are reduced to one value. Use more training images, a "
            f"larger image_size_px{', gpus: 1' * (gpus > 1)} or another network."
        ) from error
    except torch.OutOfMemoryError as error:
        n, half = train.batch_size, train.batch_size // 2
        shrinks = train.on_oom == "shrink"
        ways = [f"train.batch_size: {half} with train.accumulate: {2 * train.accumulate}"] * (half > 1 and not shrinks)
        may_shrink = gpus == 1 and not shrinks and name_of(train.update) != "sam" and not train.compile
        ways += ["train.on_oom: shrink"] * may_shrink + ["a smaller image_size_px or network"]
        raise TrainingError(
            f"models ({spec.name}): out of memory on {accelerator.device} with train.batch_size {n} and images of "
            f"{height} x {width} pixels{', even in the smallest pieces' * shrinks}. Set {', or '.join(ways)}."
        ) from error
