"""Counts with singular and plural nouns, and columns of text."""

from collections.abc import Iterator, Sequence


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 image``, ``1,437 images``."""
    return f"{number:,} {noun(number, one, many)}"


def noun(number: int, one: str, many: str | None = None) -> str:
    """``image`` for one, else ``images``."""
    return one if number == 1 else many or f"{one}s"


def times(n: int) -> str:
    """``once``, ``3 times``."""
    return "once" if n == 1 else f"{n:,} times"


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of cells as lines of aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
