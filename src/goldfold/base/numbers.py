"""Parse decimal numbers in tables."""

import math
import re
from decimal import Decimal

DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)

WHOLE = re.compile(r"0|[1-9][0-9]{0,999}")
"""An integer as JSON writes it; one of thousands of digits is taken for a name."""


def number_of(text: str) -> Decimal | None:
    """Parse a finite number exactly; None if ``text`` is a name.

    ``float`` accepts more than a table means: ``1_1`` (as 11), digits of other scripts, ``nan``. It also rounds
    ``9007199254740993``, so two long numeric names could become one.
    """
    if DECIMAL.fullmatch(text) is None or not math.isfinite(float(text)):
        return None
    return Decimal(text)


def as_float(text: str) -> float:
    """``float(text)``, which may be infinite or NaN, without ``1_1`` and digits of other scripts.

    >>> as_float("1e3")
    1000.0

    Raises:
        ValueError: ``text`` is not a number.
    """
    if not text.isascii() or "_" in text:
        raise ValueError(f"not a number: {text[:60]!r}")
    return float(text)


def in_ascii_digits(text: str) -> str:
    """``text`` with the decimal digits of other scripts (``１２``) written as 0 to 9."""
    if text.isascii():
        return text
    return "".join(str(int(letter)) if letter.isdecimal() else letter for letter in text)
