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


def made_by(results: Results, run: Run) -> list[str]:
    """Return the choices of a run itself, keys of `goldfold.config.fold_choices.INSTEAD`."""
    if run.model in results.grid.origins:
        return choices_of(next(model for model in results.settings["models"] if model["name"] == run.model))
    return choices_of({"train": rounds.train_of(results.settings, run.model, run.round)})


def keeps_best_epoch(results: Results, run: Run) -> bool:
    """Return whether a run keeps the epoch with the best validation score."""
    return EPOCH in made_by(results, run)


def is_greedy_soup(results: Results, run: Run) -> bool:
    """Return whether a run is a soup whose ingredients are chosen by the validation score."""
    return INGREDIENTS in made_by(results, run)


def lowers_rate(results: Results, run: Run) -> bool:
    """Return whether the learning rate of a run follows its validation score."""
    return RATE in made_by(results, run)


def is_chosen(results: Results, final: Run) -> bool:
    """Return whether a choice of any kind was made for a final run, or for a run that it comes from, see `rounds.chosen`."""
    return bool(rounds.chosen(results, final, lambda run: bool(made_by(results, run))))


def notes(results: Results) -> Iterator[Note]:
    """Warn of learning rates that followed the validation score; other choices have notes of their own."""
    final = rounds.final_runs(results)
    found = dict.fromkeys(rounds.chosen(results, run, partial(lowers_rate, results)) for run in final)
    if flattered := [name for name in found if name]:
        yield Note(
            "warn",
            "The learning rate followed the validation fold",
            f"With schedule: plateau, {listed(flattered)} lowered the learning rate when the validation score stopped improving "
            f"and {noun(len(flattered), 'is', 'are')} scored on the same {results.row}s, which inflates the out-of-fold score "
            f"slightly. A schedule that watches no score, such as cosine, avoids this.",
        )
