"""Make text printable on any terminal."""


def printable(text: str) -> str:
    """Escape bytes of names that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
