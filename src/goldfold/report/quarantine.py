"""Section on images and boxes that were left out, with reasons."""

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
SPECIFIC_PARTS = (
    (r"^(box|object|mask) \d+( \([^)]*\))?", r"\1"),
    (r"((?:training|test) image|holdout case) .*$", r"a \1"),
    (r"^its copies have \d+ labels.*$", "its copies have several labels"),
    (r"^channel file .* is of \d+ x .*$", "channel file is of another size"),
    (r"^channel file .*? (is|has|holds|cannot) ", r"channel file \1 "),
    (r"'[^']*'", "…"),
)
"""Parts of a reason that name one image or box, and their replacements when reasons are counted."""


def kind_of(reason: str) -> str:
    """Reason without the name of a single image, box or file, shortened to eight words."""
    for pattern, instead in SPECIFIC_PARTS:
        reason = re.sub(pattern, instead, reason)
    words = reason.split()
    return " ".join(words) if len(words) <= 8 else " ".join(words[:8]) + " …"


def lost(results: Results) -> list[str]:
    """``3 images``; where rows are cases, ``2 cases`` and ``1 image of other cases``, which are used without it."""
    rows = results.left_out
    if not results.has_cases:
        return [count(len(rows), "image")] * bool(len(rows))
    used = {(split, id) for split, table in results.tables.items() for id in table["id"]}
    keys = list(zip(rows["split"], rows["id"], strict=True))
    n_cases, n_images = len(set(keys) - used), sum(key in used for key in keys)
    return [count(n_cases, "case")] * (n_cases > 0) + [f"{count(n_images, 'image')} of other cases"] * (n_images > 0)


def sentence(results: Results) -> str:
    """State how many images, cases and boxes were left out, and how many boxes were cut."""
    n_parts = len(results.quarantine) - len(results.left_out)
    n_cut = int((results.quarantine["outcome"] == CUT).sum()) if "outcome" in results.quarantine else 0
    parts = lost(results) + [count(n_parts - n_cut, "box", "boxes")] * (n_parts > n_cut)
    sentences = [f"{listed(parts)} left out."] * bool(parts) + [f"{count(n_cut, 'box', 'boxes')} cut."] * (n_cut > 0)
    return " ".join(sentences) or "No image was left out; the quarantine is empty."


def section(results: Results) -> Section | None:
    """Counts by reason and split, pictures of readable images, and a list; None if nothing was left out."""
    table = results.quarantine
    if table.empty:
        return None
    more = f"; the first {MOST_LISTED} of {len(table):,} are listed" if len(table) > MOST_LISTED else ""
    columns = ["split", "id", "path", "reason"]
    rows = [[str(value) for value in row] for row in table[columns].head(MOST_LISTED).to_numpy()]
    blocks = [
        *_counts(results),
        *_pictures(table),
        Text(f"In the order of the data{more}.", "Reasons"),
        Table(columns, rows, text_columns=columns),
    ]
    return Section("quarantine", "Quarantine", f"{sentence(results)} What was left out was not trained on.", blocks)


def _counts(results: Results) -> list[Block]:
    listing = results.quarantine
    table = pd.crosstab(listing["reason"].map(kind_of), listing["split"])
    table = table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    order = [split for split in ("train", "test", "unlabeled") if split in table]
    order += [split for split in table if split not in order]
    rows = [[str(reason), *(f"{table.at[reason, split]:,}" for split in order)] for reason in table.index]
    return [Table(["reason", *order], rows[:MOST_LISTED], text_columns=["reason"])]


def _pictures(listing: pd.DataFrame) -> Sequence[Block]:
    """Gallery of the first readable images, taken from each reason in turn."""
    turn = listing.groupby(listing["reason"].map(kind_of), sort=False).cumcount()
    rows = listing.loc[turn.sort_values(kind="stable").index].drop_duplicates("path").to_dict("records")
    shown = []
    for row in rows[: 4 * MOST_PICTURES]:
        drawn = picture(row["path"], shortened(row["id"], 40), [row["split"], row["reason"]]) if _is_file(row) else None
        if drawn is not None and drawn.uri:
            shown.append(drawn)
        if len(shown) == MOST_PICTURES:
            break
    caption = f"{count(len(shown), 'image')} of those that can be read, as they are on disk."
    return [Gallery(shown, caption, "Examples")] if shown else []


def _is_file(row: dict[str, str]) -> bool:
    return bool(row["path"]) and Path(row["path"]).is_file()
