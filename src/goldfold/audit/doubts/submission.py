"""Doubts about names in the submission."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from goldfold.base.words import count, noun
from goldfold.submission.formulas import formulas


def about_formulas(cells: Iterable[str]) -> Iterator[str]:
    """Ids and class names in the submission that a spreadsheet program would evaluate as formulas."""
    if found := formulas(cells):
        begin = noun(len(found), "begins", "begin")
        yield (
            f"{count(len(found), 'name')} of the submission (ids of test images, classes) {begin} like a formula, first "
            f"{found[0][:60]!r}: the file keeps them unchanged, since competitions match ids; do not open it in a spreadsheet "
            f"program, which would evaluate them"
        )
