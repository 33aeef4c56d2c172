"""Cells of a table that a spreadsheet program would evaluate."""

from collections.abc import Iterable

from goldfold.base.numbers import number_of

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""First characters that Excel, LibreOffice and Google Sheets may read as a formula (OWASP, CSV injection)."""


def formulas(cells: Iterable[str]) -> list[str]:
    """Unique cells that begin like a formula and are not numbers, in order.

    >>> formulas(["=cmd|' /C calc'!A0", "-0.5", "+3", "-cat", "cat", "@SUM(A1)", "-1 0.9 3 4 5 6", "+1_1"])
    ["=cmd|' /C calc'!A0", '-cat', '@SUM(A1)', '+1_1']
    """
    return [cell for cell in dict.fromkeys(cells) if cell.startswith(FORMULA_STARTS) and not _are_numbers(cell)]


def _are_numbers(cell: str) -> bool:
    """Return whether a cell holds only numbers, as run lengths and boxes do."""
    words = cell.split()
    return bool(words) and all(number_of(word) is not None for word in words)
