"""Suppress messages of Snakemake that are wrong for goldfold, or repeated."""

import logging

UNTRUE = ("missing provenance/metadata", "outdated provenance/metadata")
"""Snakemake's own metadata are missing, as in a fresh clone; goldfold's records decide what is up to date."""
ONCE = ("Will exit after finishing currently running jobs",)


class Quiet(logging.Filter):
    """Filter that drops wrong messages, and repetitions of those reported each time a job ends."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if the message is to be shown."""
        text = str(record.msg)
        if any(words in text for words in UNTRUE):
            return False
        if text in self.seen:
            return False
        if text.startswith(ONCE):
            self.seen.add(text)
        return True
