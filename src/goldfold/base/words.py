"""Counts with singular and plural nouns."""


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 image``, ``1,437 images``."""
    return f"{number:,} {noun(number, one, many)}"


def noun(number: int, one: str, many: str | None = None) -> str:
    """``image`` for one, else ``images``."""
    return one if number == 1 else many or f"{one}s"
