"""Ledger of looks: the public scores of submissions, one row each, in a CSV file that all experiments share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from goldfold import row_files
from goldfold.base.errors import DataError
from goldfold.base.files import write_text

FILE = "submissions.csv"
"""Ledger, in the folder where goldfold and Snakemake are started: it survives the removal of results."""
QUANTILE = 1.959964
"""Of the standard normal distribution, 97.5 %."""


@dataclass(frozen=True)
class Look:
    """One submission and its scores; NaN where a score has no interval."""

    time: str
    """When it was recorded, ISO 8601 in UTC."""
    experiment: str
    metric: str
    oof: float
    """Out-of-fold score of the ensemble; nested if steps were fitted."""
    oof_low: float
    oof_high: float
    """Its 95 % interval."""
    public: float
    """Score that the competition reported."""
    noise: float
    """Standard deviation of a public score of that many images."""
    expected_low: float
    expected_high: float
    """Range that contains the public score with 95 % probability if test images are like training images."""
    test_images: int
    public_share: float
    """Share of the test images that the public score is computed on, above 0 and at most 1."""
    test_set: str
    """First digits of the sha256 of the ids of the test images."""
    submission: str
    """sha256 of the submission."""
    note: str

    @property
    def is_expected(self) -> bool | None:
        """Whether noise explains the difference between both scores; None without an interval."""
        return lies_within(self.public, self.expected_low, self.expected_high)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the public score."""
        return self.public - QUANTILE * self.noise, self.public + QUANTILE * self.noise


REQUIRED = ("oof", "public", "public_share")
"""Numbers that are never missing."""


def lies_within(value: float, low: float, high: float) -> bool | None:
    """Whether a value lies between two ends; None if there are none."""
    return low <= value <= high if math.isfinite(low) and math.isfinite(high) else None


def of(looks: Sequence[Look], test_set: str, metric: str) -> list[Look]:
    """Looks at one test set with one metric."""
    return [look for look in looks if (look.test_set, look.metric) == (test_set, metric)]


def test_set(ids: Sequence[str]) -> str:
    """Name of a test set: it depends on the ids of its images, not on their order."""
    return sha256("\n".join(sorted(map(str, ids))).encode()).hexdigest()[:12]


def read(path: str | Path = FILE) -> list[Look]:
    """Read the ledger; empty without a file.

    Raises:
        DataError: it cannot be read, or a row is broken; the text names the line.
    """
    return row_files.read(path, Look, "a ledger of submissions", REQUIRED, "ledger")


def add(look: Look, path: str | Path = FILE, again: bool = False) -> list[Look]:
    """Append a look and return the whole ledger; ``again`` replaces an earlier look by the same submission.

    Raises:
        DataError: the same submission was recorded before, and ``again`` is False; or the ledger is broken.
    """
    with row_files.locked(Path(path).absolute().parent):
        looks = read(path)
        same = [one for one in looks if (one.test_set, one.submission) == (look.test_set, look.submission)]
        if same and not again:
            raise DataError(
                f"{path} already has this submission: {same[0].public} for {same[0].experiment}, recorded {same[0].time}. The "
                "files are the same byte by byte, so it is no new look. Pass --again to replace that score."
            )
        looks = [*(one for one in looks if one not in same), look]
        write_text(path, row_files.text_of(looks, Look))
    return looks


def fingerprint(metric: str, path: str | Path = FILE) -> dict[str, str]:
    """Digest of the rows of a metric, by the ledger's name; empty without any, so that recipes stay the same.

    Raises:
        DataError: see `read`.
    """
    own = [look for look in read(path) if look.metric == metric]
    return {str(path): sha256(row_files.text_of(own, Look).encode()).hexdigest()} if own else {}
