"""Natural order of names."""

import re

DIGITS = re.compile(r"(\d+)")


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Key of the natural order, in which runs of digits are numbers.

    >>> sorted(["f10", "f9", "e20"], key=natural)
    ['e20', 'f9', 'f10']
    """
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in DIGITS.split(text) if part)
