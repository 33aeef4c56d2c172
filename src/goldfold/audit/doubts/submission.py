"""Doubts about names in the submission."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from goldfold.base.words import count, noun
from goldfold.submission.formulas import formulas


def about_formulas(cells: Iterable[str]) -> Iterator[str]:
    """Ids and names of classes that go into the submission and that a spreadsheet program would evaluate."""
    if found := formulas(cells):
        begin = noun(len(found), "begins", "begin")
        yield (
            f"{count(len(found), 'name')} of the submission (ids of test images, classes) {begin} like a formula, first "
            f"{found[0][:60]!r}: the file keeps them as they are, as competitions compare ids; do not open it in a spreadsheet "
            f"program, which would evaluate them"
        )
