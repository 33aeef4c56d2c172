"""Soups and snapshots in the report: their ingredients, and the bias of those chosen on the validation fold."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from goldfold.base.words import noun
from goldfold.drawing.blocks import Note, Table, Text
from goldfold.drawing.words import listed, score
from goldfold.report import choices, rounds
from goldfold.report.results import Results


def notes(results: Results) -> Iterator[Note]:
    """Warn of soups whose ingredients were chosen on the images that they are scored on."""
    final = rounds.final_runs(results)
    found = dict.fromkeys(rounds.chosen(results, run, partial(choices.is_greedy_soup, results)) for run in final)
    if flattered := [name for name in found if name]:
        yield Note(
            "warn",
            "The ingredients of a soup were chosen on the validation fold",
            f"With select: greedy, {listed(flattered)} kept the ingredients with the best validation score and "
            f"{noun(len(flattered), 'is', 'are')} scored on the same {results.row}s, which inflates the out-of-fold score. Use "
            f"select: uniform to avoid this.",
        )


def blocks(results: Results) -> list[Text | Table]:
    """Table of the ingredients of each soup; empty without soups."""
    rows = [row for run in results.made for row in _rows(run.model, run.round, run.fold, run.record.get("soup"))]
    if not rows:
        return []
    columns = ["soup", "round", "fold", "select", "averaged", "left out"]
    text = (
        "Scores are those of the networks on the validation images of the fold, where ingredients were chosen by them."
    )
    return [Text(text, heading="Soups"), Table(columns, rows, text_columns=columns)]


def _rows(model: str, number: int, fold: int, soup: dict[str, Any] | None) -> Iterator[list[str]]:
    """The row of a soup in a fold; none for a snapshot."""
    if soup is not None:
        parts = [[one for one in soup["ingredients"] if one["used"] is used] for used in (True, False)]
        yield [
            model,
            str(number),
            str(fold),
            soup["select"],
            *(listed([*map(_named, of)]) if of else "–" for of in parts),
        ]


def _named(ingredient: dict[str, Any]) -> str:
    """Place of a run without its fold, which is that of the soup, and its score."""
    model, number, _, seed = ingredient["run"].split("/")
    known = f" ({score(ingredient['score'])})" if "score" in ingredient else ""
    return f"{model} {number} {seed}{known}"
