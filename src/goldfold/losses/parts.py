"""Parts of the losses that detectors compute themselves."""

from collections.abc import Mapping

from torch import Tensor

from goldfold.base.errors import ConfigError, nearest
from goldfold.base.words import count

PREFIX = "loss_"
"""Beginning of some names in torchvision and transformers, which is left out."""


def weighted(found: Mapping[str, Tensor], weights: Mapping[str, float]) -> dict[str, Tensor]:
    """Multiply parts of a loss by factors; names lose their prefix ``loss_``.

    >>> import torch
    >>> {name: part.item() for name, part in weighted({"loss_giou": torch.ones(())}, {"giou": 2}).items()}
    {'giou': 2.0}

    Args:
        found: parts by name, as a detector returns them in training.
        weights: factors by name, 1 for parts that are not named.

    Raises:
        ConfigError: there is no part of this name.
    """
    parts = {name.removeprefix(PREFIX): part for name, part in found.items()}
    for name in weights:
        if name not in parts:
            parts_of = f"the loss of this detector has {count(len(parts), 'part')}: {', '.join(parts)}"
            raise ConfigError(f"train.loss_weights: {name!r}: {nearest(name, list(parts))}{parts_of}")
    return {name: part * weights[name] if name in weights else part for name, part in parts.items()}
