"""Ledger of openings: the scores on sealed holdouts, one row each, in a CSV file that all experiments share."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from goldfold import row_files
from goldfold.base.files import write_text
from goldfold.ledger import lies_within

FILE = "openings.csv"
"""Ledger, in the folder where goldfold and Snakemake are started: it survives the removal of results."""
REQUIRED = ("oof", "score")
"""Numbers that are never missing."""


@dataclass(frozen=True)
class Opening:
    """One ensemble's score on a holdout, by the metric of its config; NaN where a score has no interval."""

    time: str
    """When it was recorded, ISO 8601 in UTC."""
    experiment: str
    metric: str
    oof: float
    """Out-of-fold score of the ensemble; nested if steps were fitted."""
    oof_low: float
    oof_high: float
    """Its 95 % interval."""
    score: float
    """Score on the holdout."""
    low: float
    high: float
    """Its 95 % interval."""
    noise: float
    """Standard deviation of a score of that many cases."""
    expected_low: float
    expected_high: float
    """Range that contains the score with 95 % probability if the holdout is like the other training cases."""
    cases: int
    holdout: str
    """First digits of the sha256 of the ids of its cases."""
    predictions: str
    """sha256 of the predictions of its cases."""
    truth: str
    """sha256 of its truth."""
    note: str

    @property
    def is_expected(self) -> bool | None:
        """Whether noise explains the difference between both scores; None without an interval."""
        return lies_within(self.score, self.expected_low, self.expected_high)


def of(openings: Sequence[Opening], holdout: str) -> list[Opening]:
    """Openings of one holdout, whatever their metric: each shows every metric."""
    return [one for one in openings if one.holdout == holdout]


def read(path: str | Path = FILE) -> list[Opening]:
    """Read the ledger; empty without a file.

    Raises:
        DataError: it cannot be read, or a row is broken; the text names the line.
    """
    return row_files.read(path, Opening, "a ledger of openings", REQUIRED, "ledger")


def add(opening: Opening, path: str | Path = FILE) -> tuple[int, list[Opening]]:
    """Append an opening; return its number, from 1, and all openings of its holdout.

    The same predictions of the same truth have the same score, which is known since they were opened first, so that this
    opening is returned and nothing is added.

    Raises:
        DataError: the ledger is broken.
    """
    with row_files.locked(Path(path).absolute().parent):
        rows = read(path)
        own = of(rows, opening.holdout)
        known = [(one.predictions, one.truth) for one in own]
        if (found := (opening.predictions, opening.truth)) in known:
            return known.index(found) + 1, own
        write_text(path, row_files.text_of([*rows, opening], Opening))
    return len(own) + 1, [*own, opening]


def fingerprint(path: str | Path = FILE) -> dict[str, str]:
    """Digest of the ledger by its name; empty without any row, so that recipes stay the same.

    Raises:
        DataError: see `read`.
    """
    rows = read(path)
    return {str(path): sha256(row_files.text_of(rows, Opening).encode()).hexdigest()} if rows else {}
