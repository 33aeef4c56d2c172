"""Ids in COCO's JSON, which tools write as numbers, as text, or as both."""

import re
from collections.abc import Iterable
from typing import Any

EXACT = 2**53
"""Whole numbers beyond this are not exact as floating-point numbers."""
NUMBER = re.compile(r"-?[0-9]{1,200}(\.0*)?")


class Ambiguous(ValueError):
    """An id that may be one of several."""


def as_text(value: Any) -> str | None:
    """The text of an id, ``7`` of 7, "7" and 7.0; None where the value is no id."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return str(value).strip() or None


class Ids:
    """Ids that entries of a list have, by which others name them."""

    def __init__(self, values: Iterable[Any]) -> None:
        """Take the values as the file has them, no two of which have one text."""
        self._is_text = {as_text(value): isinstance(value, str) for value in values}
        self._by_number: dict[int, list[str]] = {}
        for text in self._is_text:
            if text is not None and (number := _number(text)) is not None:
                self._by_number.setdefault(number, []).append(text)

    def find(self, value: Any) -> str | None:
        """Text of the id that a value names, None where there is none.

        Raises:
            Ambiguous: a number may be several texts, such as 1 of "1" and "01".
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
    """The whole number that a text is."""
    return int(text.partition(".")[0]) if NUMBER.fullmatch(text) else None
