"""Numbers of things."""


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 image``, ``1,437 images``."""
    return f"{number:,} {noun(number, one, many)}"


def noun(number: int, one: str, many: str | None = None) -> str:
    """``image`` where there is one, ``images``."""
    return one if number == 1 else many or f"{one}s"
