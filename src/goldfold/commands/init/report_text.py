"""Text that any terminal can show."""


def printable(text: str) -> str:
    """Names that are no UTF-8 with their bytes written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
