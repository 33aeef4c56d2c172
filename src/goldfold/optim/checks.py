"""Checks of the parameters of schedules, and the start of a warm-up."""

from typing import Any

from goldfold.base.errors import ConfigError, shown


def start_of_warmup(lr: float, share: float) -> float:
    """Return the rate at which a warm-up begins."""
    return lr / (1 / share) if share else 0.0  # lr / 100 by default: the product lr * 0.01 differs in the last digit


def within(name: str, value: Any, low: float, high: float) -> None:
    """Refuse a parameter that is not a number between ``low`` and ``high``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigError(f"{name} = {shown(value)}: must be a number between {low:g} and {high:g}")


def whole(name: str, value: Any, least: int) -> None:
    """Refuse a parameter that is not a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name} = {shown(value)}: must be a whole number of at least {least}")
