"""Choices that a run made by its scores on the validation fold, which inflate its out-of-fold score."""

from functools import partial

from goldfold.components import name_of
from goldfold.planning.runs import Run
from goldfold.report import rounds
from goldfold.report.results import Results


def keeps_best_epoch(results: Results, run: Run) -> bool:
    """Return whether a run keeps the epoch with the best validation score."""
    is_trained = run.model not in results.grid.origins
    return is_trained and rounds.train_of(results.settings, run.model, run.round)["checkpoint"] == "best"


def may_stop_early(results: Results, run: Run) -> bool:
    """Return whether early stopping, which watches the validation fold, may end a run."""
    if run.model in results.grid.origins:
        return False
    train = rounds.train_of(results.settings, run.model, run.round)
    hooks = [name_of(hook) for hook in train.get("hooks") or []]
    return bool(train.get("early_stopping")) or "early_stopping" in hooks


def is_greedy_soup(results: Results, run: Run) -> bool:
    """Return whether a run is a soup whose ingredients are chosen by the validation score."""
    model = next(model for model in results.settings["models"] if model["name"] == run.model)
    return (model.get("soup") or {}).get("select") == "greedy"


def is_chosen(results: Results, final: Run) -> bool:
    """Return whether a choice of any kind was made for a final run, or for a run that it comes from, see `rounds.chosen`."""
    kinds = (keeps_best_epoch, may_stop_early, is_greedy_soup)
    return any(rounds.chosen(results, final, partial(kind, results)) for kind in kinds)
