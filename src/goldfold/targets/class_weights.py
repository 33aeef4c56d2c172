"""Weights of classes as written in a config: by class name, or computed by a function."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from goldfold.base.errors import nearest


def by_name(wanted: Any) -> bool:
    """Return whether weights are given as {class: number}, and not computed by a component.

    >>> by_name({"cat": 2.0}), by_name("inverse_frequency"), by_name({"effective_number": {"beta": 0.99}})
    (True, False, False)
    """
    return isinstance(wanted, Mapping) and not any(
        isinstance(value, Mapping) or value is None for value in wanted.values()
    )


def unknown(names: Iterable[str], classes: Sequence[str]) -> list[str]:
    """Return one problem per name that is not a class."""
    return [
        f"{name!r} is not a class; {nearest(name, classes)}classes: {', '.join(classes)}"
        for name in names
        if name not in classes
    ]
