"""Choices that a run made by its scores on the validation fold, which inflate its out-of-fold score."""

from collections.abc import Iterator
from functools import partial

from goldfold.base.words import noun
from goldfold.config.fold_choices import EPOCH, INGREDIENTS, RATE, choices_of
from goldfold.drawing.blocks import Note
from goldfold.drawing.words import listed
from goldfold.planning.runs import Run
from goldfold.report import rounds
from goldfold.report.results import Results

WARNINGS = {
    EPOCH: (
        "The epoch was chosen on the validation fold",
        "kept the epoch with the best validation score",
        ". Use checkpoint: last to avoid this.",
    ),
    RATE: (
        "The learning rate followed the validation fold",
        "lowered the learning rate when the validation score stopped improving",
        " slightly. A schedule that watches no score, such as cosine, avoids this.",
    ),
    INGREDIENTS: (
        "The ingredients of a soup were chosen on the validation fold",
        "kept the ingredients with the best validation score",
        ". Use select: uniform to avoid this.",
    ),
}
"""Choice -> title of its warning, what a network did by it, and the end of the text."""


def made_by(results: Results, run: Run) -> list[str]:
    """Return the choices of a run itself, keys of `goldfold.config.fold_choices.INSTEAD`."""
    if run.model in results.grid.origins:
        return choices_of(next(model for model in results.settings["models"] if model["name"] == run.model))
    return choices_of({"train": rounds.train_of(results.settings, run.model, run.round)})


def is_chosen(results: Results, final: Run) -> bool:
    """Return whether a choice of any kind was made for a final run, or for a run that it comes from, see `rounds.chosen`."""
    return bool(rounds.chosen(results, final, lambda run: bool(made_by(results, run))))


def notes(results: Results) -> Iterator[Note]:
    """Warn of choices that final runs come from; early stopping has a note of its own, which says what it ended."""
    for choice, (title, did, end) in WARNINGS.items():
        found = (rounds.chosen(results, run, partial(_is_made, results, choice)) for run in rounds.final_runs(results))
        if flattered := list(dict.fromkeys(filter(None, found))):
            yield Note(
                "warn",
                title,
                f"With {choice}, {listed(flattered)} {did} and {noun(len(flattered), 'is', 'are')} scored on the same "
                f"{results.row}s, which inflates the out-of-fold score{end}",
            )


def _is_made(results: Results, choice: str, run: Run) -> bool:
    return choice in made_by(results, run)
