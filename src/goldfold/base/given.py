"""Values that a caller knows to be there."""

from typing import TypeVar

T = TypeVar("T")


def required(value: T | None, missing: str) -> T:
    """Return a value that is not None.

    Raises:
        ValueError: it is None; ``missing`` is the message.
    """
    if value is None:
        raise ValueError(missing)
    return value
