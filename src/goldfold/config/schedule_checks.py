"""Checks of optimizer and schedule that need the task, or the names of timm."""

from collections.abc import Iterator, Mapping
from typing import Any

from goldfold.base.errors import ConfigError, nearest, shown
from goldfold.catalog import TASKS
from goldfold.components import label, name_of, parse, short
from goldfold.config import kinds
from goldfold.config.component_checks import component_problems
from goldfold.config.learning import Train
from goldfold.config.libraries import timm_optimizers, without_library
from goldfold.planning.outputs import VAL_LOSS
from goldfold.signatures import read
from goldfold.tasks.facts import Facts

LOOKAHEAD = "lookahead_"
"""Prefix of an optimizer's name, by which timm wraps it into Lookahead (Zhang et al. 2019)."""


def check_optimizer(written: Any) -> Iterator[str]:
    """Problems of an optimizer: its name, its parameters, and the library that it needs."""
    optimizer, known = optimizer_to_check(written)
    name = name_of(optimizer)
    try:
        _ = read(known[name]) if name in known else None
    except ConfigError:
        yield f"train.optimizer = {shown(written)}: its library is not installed. {without_library(name).rstrip('.')}"
    else:
        yield from component_problems("train.optimizer", optimizer, kinds.OPTIMIZER, known)


def optimizer_to_check(written: Any) -> tuple[Any, Mapping[str, str]]:
    """An optimizer as written, without the prefix of timm's Lookahead, and those that it may be."""
    name, params = parse(written)
    inner = name.removeprefix(LOOKAHEAD)
    return (short({inner: params}) if inner in timm_optimizers() else written), timm_optimizers()


def check_monitor(settings: Train, name: str, task: Facts, metric: Any) -> Iterator[str]:
    """Problems of the score that a schedule plateau watches.

    Args:
        name: name of the task.
        metric: of the config; None for the task's default.
    """
    schedule, params = parse(settings.schedule)
    if schedule != "plateau":
        return
    has_loss = name not in TASKS or task.default_loss is not None
    allowed = [*[VAL_LOSS] * has_loss, *dict.fromkeys([label(metric or next(iter(task.metrics))), *task.reported])]
    monitor = params.get("monitor", VAL_LOSS)
    if monitor not in allowed:
        hint = nearest(monitor, allowed) if isinstance(monitor, str) else ""
        yield (
            f"train.schedule: plateau watches {shown(monitor)}, which training with task {name!r} does not compute; {hint}"
            f"set monitor to one of {', '.join(allowed)}"
        )
