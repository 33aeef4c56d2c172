"""Words for problems that pydantic finds."""

from collections.abc import Mapping
from typing import Any

LIMITS = {
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} {items}",
    "too_long": "must have at most {max_length} {items}",
    "finite_number": "must be a finite number",
}
"""Type of an error -> what is wrong, with the limit."""


def in_words(entry: Mapping[str, Any]) -> str:
    """Return what is wrong with a value, for an error of pydantic.

    >>> in_words({"type": "less_than_equal", "ctx": {"le": 1.0}, "msg": "Input should be less than or equal to 1"})
    'must be at most 1'
    """
    text = LIMITS.get(entry["type"])
    if text is None:
        return str(entry["msg"]).removeprefix("Value error, ")
    limits = {name: f"{limit:g}" if isinstance(limit, float) else limit for name, limit in entry.get("ctx", {}).items()}
    n = limits.get("min_length", limits.get("max_length"))
    return text.format(**limits, items="item" if n == 1 else "items")
