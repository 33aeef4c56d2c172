"""Checkpoints of transformers: read without running code that they may contain.

Only safetensors are read, and neither code nor a question about it is ever run or asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from goldfold.base.errors import ConfigError, cause

NEUTRAL = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Mean and standard deviation of CLIP's training images, for checkpoints without ``preprocessor_config.json``."""
NO_CODE: Any = {"trust_remote_code": False}
"""Without it, transformers asks in a terminal whether it may run the code of a checkpoint."""
CONTENTS = "config.json and model.safetensors"


def statistics(
    checkpoint: str, network: str, neutral: tuple[Sequence[float], Sequence[float]] = NEUTRAL
) -> tuple[Sequence[float], Sequence[float]]:
    """Return mean and standard deviation of the pixels of 0..1 that a checkpoint was trained with.

    Args:
        neutral: those of a checkpoint without ``preprocessor_config.json``.
    """
    with readable(checkpoint, network):
        from transformers.utils.hub import cached_file

        path = cached_file(checkpoint, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False)
    if path is None:
        return neutral
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    if not found.get("do_normalize", True):
        return (0.0,) * 3, (1.0,) * 3
    return found.get("image_mean", neutral[0]), found.get("image_std", neutral[1])


def adapt(first: nn.Conv2d, in_channels: int) -> None:
    """Adapt a first convolution to the number of channels, as timm does: summed for one, repeated and scaled for more."""
    from timm.models import adapt_input_conv

    weight = adapt_input_conv(in_channels, first.weight.data)
    first.weight, first.in_channels = nn.Parameter(weight), in_channels


@contextmanager
def readable(checkpoint: str, network: str, contents: str = CONTENTS) -> Iterator[None]:
    """Turn errors of transformers about a checkpoint into a ConfigError.

    Args:
        network: name of the network in the error message of a missing library.
        contents: files that the checkpoint needs.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise ConfigError(
            f"network {network} needs the library transformers, which is not installed: pip install 'goldfold[transformers]'"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"checkpoint {checkpoint!r}: {cause(error)}. Give a folder with {contents}, or the name of such a model on the hub."
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the log and the progress bars of transformers within the block."""
    from transformers.utils import logging

    level, had_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bar:
            logging.enable_progress_bar()


def in_float32(value: Any) -> Any:
    """Return floating-point tensors, also within dicts, lists and tuples, as float32, and anything else unchanged."""
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {name: in_float32(part) for name, part in value.items()}
    return type(value)(map(in_float32, value)) if isinstance(value, list | tuple) else value
