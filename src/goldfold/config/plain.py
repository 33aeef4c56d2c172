"""Rejection of values that YAML can hold but JSON, tables or file names cannot."""

import math
from collections.abc import Iterator
from datetime import date
from typing import Any

from goldfold.base.errors import shown

LARGEST = 2**63
"""Bound of the absolute value of whole numbers, exclusive."""


def unusable(values: Any, where: str = "") -> Iterator[str]:
    """One line per text with a NUL or half a surrogate pair, which no file name or table can hold, and per number that is too
    large.
    """
    if isinstance(values, dict):
        for key, value in values.items():
            yield from unusable(key, f"{where or 'config'}: key {shown(key)}")
            yield from unusable(value, f"{where}.{key}" if where else str(key))
    elif isinstance(values, list):
        for number, value in enumerate(values):
            yield from unusable(value, f"{where}[{number}]")
    elif isinstance(values, str) and "\0" in values:
        yield f"{where} = {shown(values)}: holds a NUL character; remove it"
    elif isinstance(values, str) and not values.isascii() and any("\ud800" <= letter <= "\udfff" for letter in values):
        yield f"{where} = {shown(values)}: holds half a surrogate pair, which is not a character; correct it"
    elif isinstance(values, int) and abs(values) >= LARGEST:
        yield f"{where} = {shown(values)}: is too large; write a number below 2^63"


def json_value(value: Any) -> Any:
    """Return ``value`` if JSON can hold it.

    Raises:
        ValueError: it is a date, bytes, a set, a number that is not finite, or a section with a key that is not text.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ValueError(f"key {shown(key)} is not text; put it in quotes")
            json_value(inner)
    elif isinstance(value, list):
        for inner in value:
            json_value(inner)
    elif isinstance(value, date):
        raise ValueError(f"{value.isoformat()} is read as a date by YAML; put it in quotes")
    elif value is not None and not isinstance(value, str | bool | int | float):
        raise ValueError(f"{shown(value)} is not a plain value; write text, numbers, true, false, lists or sections")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    return value
