"""Summaries of ``quarantine.csv``, which lists images, and parts of targets (boxes, labels) of images that stay."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from goldfold.base.words import count

COLUMNS = ["split", "id", "path", "part", "reason", "outcome"]
LEFT_OUT, CUT = "left out", "cut"
"""Outcomes: of a part that is cut, the sound remainder is trained on."""
MANY = {"box": "boxes"}


def n_images(rows: Iterable[Mapping[str, Any]]) -> int:
    """Number of whole images among the rows."""
    return sum(row["part"] == "image" for row in rows)


def parts_in_words(rows: Iterable[Mapping[str, Any]]) -> str:
    """``2 boxes left out, 1 cut``; empty where only images are listed."""
    counts = Counter((row["part"], row["outcome"]) for row in rows if row["part"] != "image")
    listed = []
    for part in sorted({part for part, _ in counts}):
        numbers = [(outcome, counts[part, outcome]) for outcome in (LEFT_OUT, CUT) if counts[part, outcome]]
        (outcome, number), *more = numbers
        listed.append(
            ", ".join([f"{count(number, part, MANY.get(part))} {outcome}", *(f"{n:,} {what}" for what, n in more)])
        )
    return "; ".join(listed)


def reason_of(row: Mapping[str, Any]) -> str:
    """Reason, followed by ``(cut)`` if the part was cut and stays."""
    return f"{row['reason']} (cut)" if row["outcome"] == CUT else str(row["reason"])
