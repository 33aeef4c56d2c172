"""Losses, with a module per kind of target."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter, signature
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from goldfold import components
from goldfold.base.errors import ConfigError
from goldfold.components import COUNTS, HARD_TARGET
from goldfold.losses.numeric import by_device


@dataclass(frozen=True)
class Losses:
    """A loss and its parts, which sum to it.

    >>> import torch
    >>> loss = Losses(torch.tensor([1.0, 3.0]), {"dice": torch.tensor([0.5, 2.0]), "ce": torch.tensor([0.5, 1.0])})
    >>> loss.map(torch.mean)
    Losses(total=tensor(2.), parts={'dice': tensor(1.2500), 'ce': tensor(0.7500)})
    """

    total: Tensor
    """The loss that is minimised."""
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    """Weighted parts by name, with the same names for every batch; empty for a single loss. They are only reported in the
    history, and no gradient passes through them."""
    rates: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    """Further means over the samples for the history, such as the share of images that are learned from; no parts of the loss."""

    def map(self, function: Callable[[Tensor], Tensor]) -> "Losses":
        """Apply a function to the total and to each part."""
        return Losses(
            function(self.total), {name: function(part.detach()) for name, part in self.parts.items()}, self.rates
        )


def summed(losses: Sequence[Losses]) -> Losses:
    """Sum one loss over several groups of samples."""
    first, *others = losses
    parts = {name: sum((other.parts[name] for other in others), part) for name, part in first.parts.items()}
    return Losses(sum((other.total for other in others), first.total), parts)


def own(outputs: Any, target: Tensor) -> Losses:
    """Return the loss of outputs that know it, by their method ``losses(target)``, which returns its parts by name."""
    parts: dict[str, Tensor] = outputs.losses(target)
    return Losses(torch.stack([*parts.values()]).sum(), {name: part.detach() for name, part in parts.items()})


def combined(
    entries: Mapping[str, str],
    wanted: components.Several,
    counts: Sequence[float] | None = None,
    harden: Callable[[Tensor], Tensor] = lambda target: target,
    given: Mapping[str, Any] = MappingProxyType({}),
) -> Callable[..., Losses]:
    """Build one loss, or the weighted sum of several.

    Args:
        entries: available losses by name, all with the same arguments; user-defined losses may be given too.
        wanted: as the config's ``train.loss``.
        counts: number of labelled training cases of each class, for losses with a parameter ``counts``.
        harden: converts targets for losses whose second parameter is ``hard_target``.
        given: further arguments by name, for losses with such parameters.

    Raises:
        ConfigError: there is no such loss, or it needs counts and there are none.
    """
    chosen = [
        (components.label(part), _supplied(components.load(part, entries, "loss"), part, counts, harden, given), weight)
        for part, weight in components.summed(wanted)
    ]

    def total(*arguments: object) -> Losses:
        values = [(name, weight * loss(*arguments)) for name, loss, weight in chosen]
        parts: dict[str, Tensor] = {}
        for name, value in values if len(values) > 1 else []:
            parts[name] = parts[name] + value.detach() if name in parts else value.detach()
        return Losses(sum((value for _, value in values[1:]), values[0][1]), parts)

    return total


def _supplied(
    loss: Callable[..., Tensor],
    written: components.Written,
    counts: Sequence[float] | None,
    harden: Callable[[Tensor], Tensor],
    given: Mapping[str, Any],
) -> Callable[..., Tensor]:
    """Give a loss the counts, the hard targets and the further arguments that its parameters ask for."""
    parameters = _parameters(loss)
    is_hard, has_counts = [*parameters][1:2] == [HARD_TARGET], COUNTS in parameters and counts is not None
    if COUNTS in parameters and counts is None and parameters[COUNTS].default is Parameter.empty:
        raise ConfigError(
            f"loss {components.label(written)} needs the training cases of each class, which this task does not count"
        )
    on = by_device(torch.tensor(counts or [], dtype=torch.float32))
    known = {name: value for name, value in given.items() if name in parameters}
    of_device = {name: by_device(value) for name, value in known.items() if isinstance(value, Tensor)}

    def supplied(outputs: Tensor, target: Tensor, *others: Tensor) -> Tensor:
        more = {COUNTS: on(outputs.device)} if has_counts else {}
        more |= known | {name: value(outputs.device) for name, value in of_device.items()}
        return loss(outputs, harden(target) if is_hard else target, *others, **more)

    return supplied


def _parameters(loss: Callable[..., Tensor]) -> Mapping[str, Parameter]:
    try:
        return signature(loss).parameters
    except (TypeError, ValueError):  # not written in Python
        return {}
