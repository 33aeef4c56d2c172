"""Ledger of looks: the public scores of submissions, one row each, in a CSV file that all experiments share."""

import csv
import fcntl
import io
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path

from goldfold.base.errors import DataError
from goldfold.base.files import write_text
from goldfold.base.regular import read_text

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
        if not (math.isfinite(self.expected_low) and math.isfinite(self.expected_high)):
            return None
        return self.expected_low <= self.public <= self.expected_high

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the public score."""
        return self.public - QUANTILE * self.noise, self.public + QUANTILE * self.noise


COLUMNS = tuple(field.name for field in fields(Look))
NUMBERS = tuple(field.name for field in fields(Look) if field.type is float)
REQUIRED = ("oof", "public", "public_share")
"""Numbers that are never missing."""


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
    if not os.path.lexists(path):
        return []
    try:
        rows = csv.DictReader(io.StringIO(read_text(path).lstrip("\ufeff"), newline=""))
        if (found := tuple(rows.fieldnames or ())) != COLUMNS:
            raise DataError(
                f"{path}: its columns are {', '.join(found) or 'missing'}, not {', '.join(COLUMNS)}. Restore the first line, or "
                "move the file away to begin a new ledger."
            )
        return [_look(row, f"{path} line {rows.line_num}") for row in rows]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a ledger of submissions: {error}") from error


def _look(row: dict[str, str | None], where: str) -> Look:
    if None in row or None in row.values():
        raise DataError(f"{where} does not have {len(COLUMNS)} cells. Correct or remove the line.")
    cells = {name: str(cell) for name, cell in row.items()}
    numbers = {name: _number(cells[name], name, where) for name in NUMBERS}
    n = _number(cells["test_images"], "test_images", where)
    if not n >= 1 or n != int(n):
        raise DataError(f"{where}: test_images is {cells['test_images']!r}, not a number of images. Correct the line.")
    return Look(**{**cells, **numbers, "test_images": int(n)})  # type: ignore[arg-type]


def _number(cell: str, name: str, where: str) -> float:
    try:
        found = float(cell) if cell or name in REQUIRED else math.nan
    except ValueError:
        found = math.inf
    if math.isinf(found) or (math.isnan(found) and name in REQUIRED):
        raise DataError(f"{where}: {name} is {cell!r}, which is not a number. Correct or remove the line.")
    return found


def add(look: Look, path: str | Path = FILE, again: bool = False) -> list[Look]:
    """Append a look and return the whole ledger; ``again`` replaces an earlier look by the same submission.

    Raises:
        DataError: the same submission was recorded before, and ``again`` is False; or the ledger is broken.
    """
    with _locked(Path(path).absolute().parent):
        looks = read(path)
        same = [one for one in looks if (one.test_set, one.submission) == (look.test_set, look.submission)]
        if same and not again:
            raise DataError(
                f"{path} already has this submission: {same[0].public} for {same[0].experiment}, recorded {same[0].time}. The "
                "files are the same byte by byte, so it is no new look. Pass --again to replace that score."
            )
        looks = [*(one for one in looks if one not in same), look]
        write_text(path, _written(looks))
    return looks


def _written(looks: Sequence[Look]) -> str:
    stream = io.StringIO(newline="")
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(_cells(look) for look in looks)
    return stream.getvalue()


def _cells(look: Look) -> list[str]:
    """Cells of a row; an empty one for NaN."""
    return ["" if isinstance(value, float) and math.isnan(value) else str(value) for value in asdict(look).values()]


def fingerprint(metric: str, path: str | Path = FILE) -> dict[str, str]:
    """Digest of the rows of a metric, by the ledger's name; empty without any, so that recipes stay the same.

    Raises:
        DataError: see `read`.
    """
    own = [look for look in read(path) if look.metric == metric]
    return {str(path): sha256(_written(own).encode()).hexdigest()} if own else {}


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other commands that read and write its ledger."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
