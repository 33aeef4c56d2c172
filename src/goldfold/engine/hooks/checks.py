"""Checks of the parameters of hooks."""

from typing import Any

from goldfold.base.errors import ConfigError, shown


def number(**values: Any) -> None:
    """Refuse parameters that are not numbers."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"{name} = {shown(value)}: must be a number")


def positive(**values: Any) -> None:
    """Refuse parameters that are not above 0."""
    number(**values)
    for name, value in values.items():
        if not value > 0:
            raise ConfigError(f"{name} = {value:g}: must be above 0")


def whole(name: str, value: Any, least: int, unit: str) -> None:
    """Refuse a parameter that is not a whole number of at least ``least``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{name} = {value!r}: must be a whole number of {unit}, at least {least}")
