"""The top of the page: the score, and what it means."""

from dataclasses import dataclass, field

import pandas as pd

from goldfold import components
from goldfold.base.words import count, noun
from goldfold.drawing.words import interval, listed, score
from goldfold.images import cases
from goldfold.report.results import Results
from goldfold.report.runinfo import n_training_runs


@dataclass(frozen=True)
class Headline:
    """What the page begins with."""

    value: str
    label: str
    interval: str
    sentence: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    test: "Headline | None" = None


def headline(results: Results) -> Headline:
    """The ensemble's out-of-fold score and the size of the experiment."""
    entry = results.metrics["oof"][results.metric]
    truth, row = results.truth, cases.word(results.tables["train"])
    unit, n = ("groups", truth["group"].nunique()) if "group" in truth else (f"{row}s", len(truth))
    ends = interval(entry.get("low"), entry.get("high"))
    meaning = f"Each of the {_named(results)} was predicted by models that never saw it in training. " + (
        f"Resampling these {n:,} {unit} with replacement gives a score in this range 95 times in 100."
        if ends != "–"
        else "No interval could be computed."
    )
    if "group" in truth:
        meaning += f" Whole groups are drawn, since {row}s of a group are not independent."
    if results.optimistic is not None:
        steps = listed([components.label(one["step"]) for one in results.steps if one["fitted"] is not None])
        meaning += (
            f" Parameters of {steps} were fitted, for the {row}s of each fold, on the other folds. Fitted and scored on the "
            f"same {row}s, they give {score(results.optimistic['value'])}, which is optimistic."
        )
    direction = "larger is better" if results.greater_is_better else "smaller is better"
    label = f"{results.metric}, out of fold ({direction})"
    return Headline(score(entry.get("value")), label, ends, meaning, _facts(results), _test(results))


def _facts(results: Results) -> list[tuple[str, str]]:
    settings = results.settings
    return [
        *(_tile(len(table), _rows(split, table)) for split, table in results.tables.items()),
        _tile(len(results.classes), *results.facts.kinds),
        _tile(len(results.models), "model"),
        _tile(settings["folds"]["n_folds"], "fold"),
        _tile(len(settings["seeds"]), "seed"),
        *([_tile(results.n_rounds + 1, "round")] if "rounds" in settings else []),
        _tile(len(results.taught), "pseudo-label round"),
        _tile(n_training_runs(results), "training run"),
    ]


def _rows(split: str, table: pd.DataFrame) -> str:
    """What one row of a split is."""
    return f"{'training' if split == 'train' else split} {cases.word(table)}"


def _tile(number: int, one: str, many: str | None = None) -> tuple[str, str]:
    return noun(number, one, many), f"{number:,}"


def _test(results: Results) -> Headline | None:
    """Score on the test images where their labels are known."""
    found = results.test_score
    if found is None or results.answers is None:
        return None
    row = _rows("test", results.tables["test"])
    sentence = (
        f"The {results.whole}'s prediction of {count(len(results.answers), row)} whose truth is known. It is "
        f"used for this number and for nothing else: not in training, not in choosing, not in weighting."
    )
    return Headline(score(found.value), f"{results.metric}, {row}s", interval(found.low, found.high), sentence)


def _named(results: Results) -> str:
    """The images, or cases, that the score is of."""
    n, table = len(results.truth), results.tables["train"]
    known = count(len(table), _rows("train", table))
    return known if n == len(table) else f"{n:,} validated of {known}"
