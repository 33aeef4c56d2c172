"""Section on what was left out, and why."""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from goldfold.audit.quarantine import CUT
from goldfold.base.words import count
from goldfold.drawing.blocks import Block, Gallery, Section, Table, Text
from goldfold.drawing.pictures import picture
from goldfold.drawing.words import listed, shortened
from goldfold.report.results import Results

MOST_LISTED, MOST_PICTURES = 50, 12
SAYS_WHICH = (
    (r"^(box|object|mask) \d+( \([^)]*\))?", r"\1"),
    (r"((?:training|test) image) .*$", r"a \1"),
    (r"^its copies have \d+ labels.*$", "its copies have several labels"),
    (r"^channel file .* is of \d+ x .*$", "channel file is of another size"),
    (r"^channel file .*? (is|has|holds|cannot) ", r"channel file \1 "),
    (r"'[^']*'", "…"),
)
"""Parts of reasons that name one image or box, and what stands for them where reasons are counted."""


def kind_of(reason: str) -> str:
    """A reason without what names a single image, box or file, cut where it is long."""
    for pattern, instead in SAYS_WHICH:
        reason = re.sub(pattern, instead, reason)
    words = reason.split()
    return " ".join(words) if len(words) <= 8 else " ".join(words[:8]) + " …"


def sentence(results: Results) -> str:
    """How many images and boxes were left out, how many boxes were cut, or that none was."""
    n_images, n_parts = len(results.left_out), len(results.quarantine) - len(results.left_out)
    n_cut = int((results.quarantine["outcome"] == CUT).sum()) if "outcome" in results.quarantine else 0
    parts = [count(n_images, "image")] * (n_images > 0) + [count(n_parts - n_cut, "box", "boxes")] * (n_parts > n_cut)
    told = [f"{listed(parts)} left out."] * bool(parts) + [f"{count(n_cut, 'box', 'boxes')} cut."] * (n_cut > 0)
    return " ".join(told) or "Every image could be used; the quarantine is empty."


def section(results: Results) -> Section | None:
    """Counts by reason and split, pictures of what can be read, and the list; no section where nothing was left out."""
    lost = results.quarantine
    if lost.empty:
        return None
    more = f"; the first {MOST_LISTED} of {len(lost):,} are listed" if len(lost) > MOST_LISTED else ""
    columns = ["split", "id", "path", "reason"]
    rows = [[str(value) for value in row] for row in lost[columns].head(MOST_LISTED).to_numpy()]
    blocks = [
        *_counts(results),
        *_pictures(lost),
        Text(f"In the order of the data{more}.", "Each with its reason"),
        Table(columns, rows, text_columns=columns),
    ]
    return Section(
        "quarantine", "Quarantine", f"{sentence(results)} Nothing was learnt from what was left out.", blocks
    )


def _counts(results: Results) -> list[Block]:
    lost = results.quarantine
    table = pd.crosstab(lost["reason"].map(kind_of), lost["split"])
    table = table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    order = [split for split in ("train", "test", "unlabeled") if split in table]
    order += [split for split in table if split not in order]
    rows = [[str(reason), *(f"{table.at[reason, split]:,}" for split in order)] for reason in table.index]
    return [Table(["reason", *order], rows[:MOST_LISTED], text_columns=["reason"])]


def _pictures(lost: pd.DataFrame) -> Sequence[Block]:
    """The first that can still be read, in turn from each reason."""
    turn = lost.groupby(lost["reason"].map(kind_of), sort=False).cumcount()
    rows = lost.loc[turn.sort_values(kind="stable").index].drop_duplicates("path").to_dict("records")
    shown = []
    for row in rows[: 4 * MOST_PICTURES]:
        drawn = picture(row["path"], shortened(row["id"], 40), [row["split"], row["reason"]]) if _is_file(row) else None
        if drawn is not None and drawn.uri:
            shown.append(drawn)
        if len(shown) == MOST_PICTURES:
            break
    caption = f"{count(len(shown), 'image')} of those that can be read, as they are on disk."
    return [Gallery(shown, caption, "What they look like")] if shown else []


def _is_file(row: dict[str, str]) -> bool:
    return bool(row["path"]) and Path(row["path"]).is_file()
