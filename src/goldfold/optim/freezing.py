"""Frozen parameters: which ones ``train.freeze`` freezes, by epoch, and a table of the parts of a network."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import nn

from goldfold.base.errors import ConfigError
from goldfold.engine.depth import stages
from goldfold.engine.parts import backbone

What = str | Mapping[str, int]
"""Frozen parts: ``backbone``, ``{first: n}`` stages, ``{all_but_last: n}`` stages, or ``none``."""
Freeze = Sequence[tuple[int, What]]
"""Pairs of the first epoch and what is frozen from there on, in order of epochs, beginning with epoch 0."""
NEVER = -1
"""First epoch of parameters that are never trained."""


def frozen_parts(network: nn.Module, freeze: Freeze) -> list[tuple[int, set[str]]]:
    """Return the first epoch and the names of the frozen parameters of each range of epochs.

    Raises:
        ConfigError: the network does not say where its head begins or which stages it has, it has fewer stages, a later
            range freezes as much or more, or nothing is left to train.
    """
    if not freeze:
        return []
    body, parts = backbone(network), stages(network)
    if not body:
        raise ConfigError(
            "freeze: it is not known where the head of this network begins; give it get_classifier(), which returns its last "
            "layer, as in networks of timm"
        )
    found = [(epoch, _names(what, body, parts)) for epoch, what in freeze]
    for (epoch, what), ((_, before), (_, after)) in zip(freeze[1:], pairwise(found), strict=True):
        if not after < before:
            how = "freezes what was frozen before" if after == before else "freezes parts that were trained before"
            raise ConfigError(
                f"freeze: {shown(what)} from epoch {epoch} on {how}; list what is frozen from most to least"
            )
    if found[0][1] >= {name for name, _ in network.named_parameters()}:
        raise ConfigError(f"freeze: {shown(freeze[0][1])} freezes the whole network, so nothing would be trained")
    return found


def first_epochs(network: nn.Module, freeze: Freeze) -> dict[str, int]:
    """Return the epoch from which each parameter that is frozen at first is trained, or `NEVER`; empty without ``freeze``."""
    found = frozen_parts(network, freeze)
    return {
        name: next((epoch for epoch, frozen in found if name not in frozen), NEVER)
        for _, frozen in found[:1]
        for name in frozen
    }


def table(network: nn.Module, groups: Iterable[Mapping[str, Any]], lr: float) -> list[str]:
    """Return lines with the parameters of each part of a network, those that are trained, and their peak learning rates.

    Args:
        groups: parameter groups of the optimizer.
        lr: peak of the learning rate of factor 1.
    """
    scales = {id(value): float(group.get("lr_scale", 1.0)) for group in groups for value in group["params"]}
    named, rows = dict(network.named_parameters()), [("part", "parameters", "trained", "peak lr")]
    for part, names in _parts(network).items():
        trained = [named[name] for name in named if name in names and named[name].requires_grad]
        rates = sorted({lr * scales.get(id(value), 0.0) for value in trained})
        between = " to ".join(f"{rate:.3g}" for rate in dict.fromkeys(rates[:1] + rates[-1:]))
        n = sum(named[name].numel() for name in names)
        rows.append((part, f"{n:,}", f"{sum(value.numel() for value in trained):,}", between or "-"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [f"  {row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}" for row in rows]


def shown(what: What) -> str:
    """Return what is frozen as the config writes it.

    >>> shown({"first": 2})
    'first: 2'
    """
    return what if isinstance(what, str) else ", ".join(f"{key}: {value}" for key, value in what.items())


def _parts(network: nn.Module) -> dict[str, set[str]]:
    """Return the names of the parameters of each stage, of what follows the stages, and of the head."""
    every, body = {name for name, _ in network.named_parameters()}, backbone(network)
    parts = {f"stage {number}": names for number, names in enumerate(stages(network), 1)}
    rest = body - set().union(*parts.values())
    parts |= {"after the stages" if parts else "backbone": rest} if rest else {}
    return {**parts, "head" if body else "network": every - body}


def _names(what: What, body: set[str], parts: list[set[str]]) -> set[str]:
    """Names of the parameters that are frozen."""
    if isinstance(what, str):
        return body if what == "backbone" else set()
    (key, number), n = next(iter(what.items())), len(parts)
    if not n:
        raise ConfigError(
            f"freeze: {shown(what)}: the network does not say which stages it has; most networks of timm do, by "
            f"group_matcher(). Set freeze: backbone instead"
        )
    most = n if key == "first" else n - 1
    if number > most:
        raise ConfigError(
            f"freeze: {shown(what)}: the backbone has {n} stages"
            + (f"; give at most {most}" if most else "")
            + (", since training the last of all freezes none" if key == "all_but_last" and number == n else "")
        )
    return set().union(*parts[: number if key == "first" else n - number])
