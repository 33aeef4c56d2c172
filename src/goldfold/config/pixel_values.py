"""Values of the pixels of masks as a user writes them: whole numbers and colours."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from goldfold.targets import colours

COLOUR = re.compile("#[0-9a-fA-F]{6}")


def _pixel_value(value: Any) -> Any:
    parts = value if isinstance(value, list) and len(value) == 3 else [value]
    largest = 255 if len(parts) == 3 else 2**16 - 1
    are_levels = all(type(part) is int and 0 <= part <= largest for part in parts)
    if not are_levels and not (isinstance(value, str) and COLOUR.fullmatch(value)):
        raise ValueError('must be a whole number from 0 to 65535, or a colour, [r, g, b] or "#rrggbb" (in quotes)')
    return value


PixelValue = Annotated[int | str | list[int], BeforeValidator(_pixel_value)]
"""Value of a mask's pixel, or its colour."""
Written = int | str | list[int]


def _ignored(value: Any) -> Any:
    if not isinstance(value, list):
        return _pixel_value(value)
    if not value:
        raise ValueError("is an empty list; name values, or remove it")
    if len(value) != 3 or any(type(part) is not int for part in value):
        return [_pixel_value(part) for part in value]
    return value


Ignored = Annotated[int | str | list[int] | list[int | str | list[int]], BeforeValidator(_ignored)]
"""Value of a mask's pixel, or its colour, or a list of these."""


def number(value: Written) -> int:
    """Internal number of a pixel value or colour."""
    if isinstance(value, int):
        return value
    return colours.number_of(*(bytes.fromhex(value[1:]) if isinstance(value, str) else value))


def numbers_of(mask_values: Any) -> Any:
    """``mask_values`` with the internal number of each value."""
    return (
        {name: number(value) for name, value in mask_values.items()} if isinstance(mask_values, dict) else mask_values
    )


def is_colour(value: Written) -> bool:
    """Return whether a value is written as a colour."""
    return not isinstance(value, int)


def values_by_class(mask_values: Any, classes: list[str] | None) -> dict[str, Written]:
    """Value of each class, as far as the config gives them."""
    if isinstance(mask_values, dict):
        return mask_values
    return {name: 1 + place for place, name in enumerate(classes or [])} if mask_values == "index" else {}


def ignored_values(value: Any, mask_values: Any) -> list[Written]:
    """List of the values of ``ignore_value``.

    Three numbers are a colour, except with classes that are numbers, unless two of the three are equal.
    """
    if not isinstance(value, list):
        return [] if value is None else [value]
    if len(value) != 3 or any(type(part) is not int for part in value):
        return value
    named = mask_values.values() if isinstance(mask_values, dict) else []
    are_values = mask_values == "index" or (named and not any(map(is_colour, named)))
    return value if (are_values and len(set(value)) == 3) or max(value) > 255 else [value]
