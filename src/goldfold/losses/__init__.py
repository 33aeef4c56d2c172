"""Losses as a config writes them; each kind of target has a module of them."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from goldfold import components

Loss = Callable[..., Tensor]
Parts = list[tuple[components.Written, float]]


def parts_of(wanted: components.Several) -> Parts:
    """Losses of a weighted sum, each with its weight.

    >>> parts_of({"dice": 0.5, "focal": {"gamma": 3, "weight": 2}})
    [('dice', 0.5), ({'focal': {'gamma': 3}}, 2.0)]
    >>> parts_of(["ce", {"tversky": {"alpha": 0.7}}])
    [('ce', 1.0), ({'tversky': {'alpha': 0.7}}, 1.0)]
    """
    if isinstance(wanted, str):
        return [(wanted, 1.0)]
    if not isinstance(wanted, Mapping):
        return [part for entry in wanted for part in parts_of(entry)]
    parts: Parts = []
    for name, value in wanted.items():
        params = dict(value) if isinstance(value, Mapping) else {"weight": 1.0 if value is None else value}
        weight = float(params.pop("weight", 1.0))
        parts.append(({name: params} if params else name, weight))
    return parts


def combined(entries: Mapping[str, str], wanted: components.Several) -> Loss:
    """One loss by name, or the weighted sum of several.

    Args:
        entries: those to choose from, besides the user's own; all take the same arguments.
        wanted: as the config's ``train.loss``.
    """
    losses = [(components.load(part, entries, "loss"), weight) for part, weight in parts_of(wanted)]

    def total(*arguments: Any) -> Tensor:
        parts = [weight * loss(*arguments) for loss, weight in losses]
        return sum(parts[1:], parts[0])

    return total
