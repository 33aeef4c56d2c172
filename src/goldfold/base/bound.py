"""Functions with bound values."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


def parts_of(function: Callable[..., T]) -> tuple[Callable[..., T], dict[str, Any]]:
    """Return the function itself, and the values that are bound to it by name.

    >>> parts_of(partial(sorted, reverse=True))[1]
    {'reverse': True}
    """
    return (function.func, function.keywords) if isinstance(function, partial) else (function, {})
