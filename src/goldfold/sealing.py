"""Lists of the folds stage with a sealed holdout: its images without targets, its truth apart, and all else without it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold import components
from goldfold.audit import set_aside
from goldfold.audit.doubts.folds import about_holdout
from goldfold.base.errors import DataError
from goldfold.base.files import write_if_changed
from goldfold.base.words import count
from goldfold.crop.counts import BY
from goldfold.images import cases
from goldfold.planning.outputs import HOLDOUT, SEALED
from goldfold.splits.holdout import Separated, separate
from goldfold.tables import read_table
from goldfold.tasks.protocol import Target

OF_IMAGES = (
    "id",
    "path",
    "sha256",
    "width",
    "height",
    cases.PATHS,
    cases.DIGESTS,
    "roi",
    "roi_fallback",
    BY,
    cases.ROIS,
)
"""Columns of a table of images that no target is in, as test images have them."""
Tables = dict[str, pd.DataFrame]


def take_out(
    tables: Tables, metadata: Tables, target: Target, how: Mapping[str, Any], splitter: components.Written, gap: float,
    manifest: Path,
) -> Separated:  # fmt: skip
    """Move the holdout from the training table into a table of images, `HOLDOUT`; likewise its metadata.

    Args:
        tables: of the manifest, by split.
        metadata: id and metadata columns, by split.
        how: see `goldfold.splits.holdout.separate`.
        manifest: folder of the manifest.
    """
    train, lost = tables["train"], read_table(manifest / "quarantine.csv")
    found = separate(train, target.content(train), how, splitter, gap, lost["id"][lost["split"] == "train"])
    tables["train"] = found.train
    tables[HOLDOUT] = found.holdout[[name for name in found.holdout if name in OF_IMAGES]]
    metadata[HOLDOUT] = metadata["train"][metadata["train"]["id"].isin(found.holdout["id"])]
    for line in in_words(found, target.content(found.holdout)):
        print(line, flush=True)
    return found


def in_words(found: Separated, content: pd.DataFrame) -> Iterator[str]:
    """Lines on the size of the holdout, classes that it cannot score, and rows that are left out.

    Args:
        content: of the holdout.
    """
    n, n_all = len(found.holdout), sum(map(len, (found.holdout, found.train, found.left_out)))
    yield f"holdout: {n:,} of {count(n_all, 'training case')} ({n / n_all:.1%}) are set aside"
    yield from about_holdout(content)
    if len(found.left_out):
        yield f"holdout: {count(len(found.left_out), 'training case')} left out as too close to it, see quarantine.csv"


def copied(path: Path, aside: Separated | None) -> str:
    """Content of a file of the manifest, for the lists that later stages read: without the targets of the holdout."""
    if aside is None or path.suffix != ".csv":
        return path.read_text()
    table, ids = read_table(path), set(aside.holdout["id"])
    if path.stem == "quarantine":
        table = set_aside.quarantined(table, ids, aside.left_out)
    elif path.stem == "duplicates":
        table = set_aside.copies(table, ids)
    return table.to_csv(index=False)


def seal(folder: Path, aside: Separated | None) -> None:
    """Write the truth of the holdout, or remove that of an earlier run."""
    if aside is not None:
        write_if_changed(folder / SEALED, aside.holdout.to_csv(index=False))
        return
    for name in (SEALED, f"{HOLDOUT}.csv"):
        (folder / name).unlink(missing_ok=True)
    for path in (folder / "shards").glob(f"{HOLDOUT}-*.csv"):
        path.unlink()


@contextmanager
def blamed(aside: Separated | None) -> Iterator[None]:
    """Name the holdout in the error of folds that its cases are missing for."""
    try:
        yield
    except DataError as error:
        if aside is None:
            raise
        n = len(aside.holdout)
        raise DataError(
            f"{error} The holdout has taken {n:,} of {count(n + len(aside.train), 'training case')}; a smaller one leaves more."
        ) from error
