"""Ids in COCO's JSON, which tools write as numbers, as text, or both."""

import re
from collections.abc import Iterable
from typing import Any

EXACT = 2**53
"""Whole numbers beyond this are not exact as floating-point numbers."""
NUMBER = re.compile(r"-?[0-9]{1,200}(\.0*)?")


class Ambiguous(ValueError):
    """An id that may be one of several."""


def as_text(value: Any) -> str | None:
    """The text of an id, ``7`` for 7, "7" and 7.0; None if the value is not an id."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return str(value).strip() or None


class Ids:
    """Ids of the entries of a list, looked up by references to them."""

    def __init__(self, values: Iterable[Any]) -> None:
        """Store the values as the file has them; their texts must be distinct."""
        self._is_text = {as_text(value): isinstance(value, str) for value in values}
        self._by_number: dict[int, list[str]] = {}
        for text in self._is_text:
            if text is not None and (number := _number(text)) is not None:
                self._by_number.setdefault(number, []).append(text)

    def find(self, value: Any) -> str | None:
        """Text of the id that a value refers to; None if there is none.

        Raises:
            Ambiguous: a number matches several texts, such as 1 for "1" and "01".
        """
        text = as_text(value)
        if text is None or self._is_text.get(text) == isinstance(value, str):
            return text
        number = _number(text)
        found = self._by_number.get(number, []) if number is not None else []
        if len(found) > 1:
            raise Ambiguous(f"may be any of {', '.join(map(repr, found))}")
        return found[0] if found else None


def _number(text: str) -> int | None:
    """The whole number that a text stands for; None if it is not one."""
    return int(text.partition(".")[0]) if NUMBER.fullmatch(text) else None
