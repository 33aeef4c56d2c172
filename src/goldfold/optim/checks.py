"""Checks of the parameters of schedules, and the start of a warm-up."""

from typing import Any

from goldfold.base.errors import ConfigError, shown
from goldfold.catalog import SCHEDULES
from goldfold.components import Written, parse
from goldfold.signatures import default

PARTS = {"cosine": "cycles", "cyclic": "cycles", "step": "n_drops"}
"""Schedule -> the parameter that divides the run."""


def start_of_warmup(lr: float, share: float) -> float:
    """Return the rate at which a warm-up begins."""
    return lr / (1 / share) if share else 0.0  # lr / 100 by default: the product lr * 0.01 differs in the last digit


def check_length(wanted: Written, steps: int, warmup_steps: int) -> None:
    """Refuse a schedule with parts that are shorter than a step, or drops at the end of the run.

    Raises:
        ConfigError: with the number of steps that the run has.
    """
    name, params = parse(wanted)
    if name == "multistep":
        late = [share for share in params.get("milestones", ()) if round(share * steps) >= steps > 1]
        if late:
            raise ConfigError(
                f"train.schedule: multistep: the milestone {late[0]:g} is at the end of the {steps} steps of this run, where a "
                f"drop has no effect. Remove it, or set a smaller share."
            )
    elif name in PARTS:
        key = PARTS[name]
        n: int = params[key] if key in params else default(SCHEDULES[name], key)
        left = steps if name == "cyclic" else max(steps - warmup_steps, 0)
        least = n + 1 if name == "step" else n
        if least > max(left, 1):
            after = "" if name == "cyclic" else " after the warm-up"
            raise ConfigError(
                f"train.schedule: {name} with {key} {n} needs at least {least} steps{after}, but this run has {left}. Set a "
                f"smaller {key}, or more epochs."
            )


def within(name: str, value: Any, low: float, high: float) -> None:
    """Refuse a parameter that is not a number between ``low`` and ``high``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigError(f"{name} = {shown(value)}: must be a number between {low:g} and {high:g}")


def whole(name: str, value: Any, least: int) -> None:
    """Refuse a parameter that is not a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name} = {shown(value)}: must be a whole number of at least {least}")
