"""Checkpoints of transformers: read without running code that they may contain.

Only safetensors are read, and neither code nor a question about it is ever run or asked.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from goldfold.base.errors import ConfigError, cause

NEUTRAL = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Mean and standard deviation of CLIP's training images, for checkpoints without ``preprocessor_config.json``."""
NO_CODE: Any = {"trust_remote_code": False}
"""Without it, transformers asks in a terminal whether it may run the code of a checkpoint."""
EXACT: Any = {"attn_implementation": "eager"}
"""Attention in plain operations, whose gradient has a deterministic form on GPUs."""
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


def known(network: str, params: Mapping[str, Any], ours: Collection[str]) -> Mapping[str, Any]:
    """Check that a configuration of a kind of model has numbers or words of these keys; transformers would take any other too.

    Args:
        network: the kind, as ``model_type`` in a configuration.
        ours: keys that are set by other parameters, or have no meaning here.

    Raises:
        TypeError: it has none of a key.
    """
    kind = configuration(network)
    names = {name for name in kind.__annotations__ if isinstance(getattr(kind, name), int | float | str)} - {*ours}
    if wrong := sorted(set(params) - names):
        raise TypeError(f"unknown parameter {wrong[0]!r}; transformers takes {', '.join(sorted(names))}")
    return params


def configuration(network: str) -> Any:
    """Return the class of the configurations of a kind of model.

    Raises:
        ConfigError: transformers is not installed.
    """
    with readable("", network):
        from transformers import CONFIG_MAPPING

        return CONFIG_MAPPING[network]


def new(auto: str, config: Any) -> Any:
    """Build a new model of a configuration by one of transformers' automatic classes."""
    import transformers

    with quiet():
        return getattr(transformers, auto).from_config(config, **EXACT)


def loaded(
    network: str,
    auto: str,
    checkpoint: str,
    pretrained: bool,
    n_classes: int,
    settings: Mapping[str, Any],
    of_classes: Sequence[str],
) -> Any:
    """Build the model of a checkpoint with outputs for ``n_classes``.

    Args:
        network: its kind, as ``model_type`` in its configuration.
        auto: the automatic class of transformers that builds it.
        pretrained: load its weights, all but those of another number of classes.
        settings: replace those of its configuration.
        of_classes: parts whose shapes depend on the number of classes.

    Raises:
        ConfigError: it cannot be read, is of another kind, or its weights do not fit its configuration.
    """
    with readable(checkpoint, network), quiet():
        import transformers

        config = transformers.AutoConfig.from_pretrained(checkpoint, num_labels=n_classes, **settings, **NO_CODE)
    if config.model_type != network:
        raise ConfigError(
            f"checkpoint {checkpoint!r}: is a {config.model_type}, not a {network}. Correct network or checkpoint."
        )
    if not pretrained:
        return new(auto, config)
    how: Any = {
        "use_safetensors": True,
        "ignore_mismatched_sizes": True,
        "output_loading_info": True,
        **EXACT,
        **NO_CODE,
    }
    with readable(checkpoint, network), quiet():
        whole, report = getattr(transformers, auto).from_pretrained(checkpoint, config=config, **how)
    misfits = [key[0] if isinstance(key, tuple) else key for key in report["mismatched_keys"]]
    names = {*report["missing_keys"], *misfits}
    if lost := sorted(name for name in names if not any(part in name for part in of_classes)):
        raise ConfigError(
            f"checkpoint {checkpoint!r}: would leave {lost[0]} and {len(lost) - 1} more new, outside the head. Remove params "
            f"that change shapes, or use other weights."
        )
    return whole.train()  # as any new module


def take_channels(body: nn.Module, in_channels: int) -> None:
    """Adapt the first convolution of a backbone to the number of channels."""
    first = next(layer for layer in body.modules() if isinstance(layer, nn.Conv2d))
    own = first.in_channels
    if own != in_channels:
        adapt(first, in_channels)
        for part in body.modules():
            if getattr(part, "num_channels", None) == own:
                part.num_channels = in_channels  # type: ignore[assignment]  # compared with that of the images


def refuse_fixed(checkpoint: str, given: Mapping[str, Any]) -> None:
    """Raise ConfigError for an argument, not None, that a checkpoint fixes."""
    for name, value in given.items():
        if value is not None:
            raise ConfigError(
                f"{name} = {value}: checkpoint {checkpoint!r} has its own; remove it, or name a backbone instead of a checkpoint"
            )


def refuse_both(network: str, backbone: str | None, checkpoint: str | None) -> None:
    """Raise ConfigError unless there is either a backbone or a checkpoint."""
    if (backbone is None) == (checkpoint is None):
        raise ConfigError(f"network {network!r} needs a backbone or params: {{checkpoint: NAME}}, and only one of them")


@contextmanager
def readable(checkpoint: str, network: str, contents: str = CONTENTS) -> Iterator[None]:
    """Turn errors of transformers about a checkpoint into a ConfigError.

    Args:
        network: name of the network in the error message of a missing library.
        contents: files that the checkpoint needs.
    """
    if not isinstance(checkpoint, str):
        raise ConfigError(f"checkpoint = {checkpoint!r}: must be the name of a model on the hub, or a folder")
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise ConfigError(
            f"network {network} needs the library transformers, which is not installed: pip install 'goldfold[transformers]'"
        ) from error
    except (OSError, ValueError, KeyError, SafetensorError) as error:
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
