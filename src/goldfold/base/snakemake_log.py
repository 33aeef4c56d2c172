"""Messages of Snakemake that are untrue of goldfold, or repeated, kept off the screen."""

import logging

UNTRUE = ("missing provenance/metadata", "outdated provenance/metadata")
"""Snakemake misses its own metadata, as in a fresh clone; goldfold's records say what is up to date."""
ONCE = ("Will exit after finishing currently running jobs",)


class Quiet(logging.Filter):
    """Drops what is untrue, and repetitions of what is reported each time that a job ends."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a message is shown."""
        text = str(record.msg)
        if any(words in text for words in UNTRUE):
            return False
        if text in self.seen:
            return False
        if text.startswith(ONCE):
            self.seen.add(text)
        return True
