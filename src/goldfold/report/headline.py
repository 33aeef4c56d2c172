"""Top of the page: the score and its meaning."""

from dataclasses import dataclass, field

import pandas as pd

from goldfold import components
from goldfold.base.words import count, noun
from goldfold.drawing.words import interval, listed, score
from goldfold.images import cases
from goldfold.metrics.limits import of_interval
from goldfold.report.limits import independent
from goldfold.report.results import Results
from goldfold.report.runinfo import n_inner_trainings, n_training_runs
from goldfold.splits.scored import with_groups


@dataclass(frozen=True)
class Headline:
    """A score with its interval, one sentence on its meaning, and numbers of the experiment."""

    value: str
    label: str
    interval: str
    sentence: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    beside: str = ""
    """The optimistic score, of steps that were fitted on the scored images; empty if nothing was fitted."""
    verdict: str = ""
    """One sentence, see `goldfold.report.verdict`."""
    test: "Headline | None" = None


def headline(results: Results, verdict: str = "") -> Headline:
    """Out-of-fold score of the ensemble, and size of the experiment."""
    entry = results.metrics["oof"][results.metric]
    truth, row = results.truth, cases.word(results.tables["train"])
    unit, n = ("groups", truth["group"].nunique()) if "group" in truth else (f"{row}s", len(truth))
    ends = interval(entry.get("low"), entry.get("high"))
    meaning = f"Each of the {_named(results)} was predicted by models that were not trained on it. " + (
        f"The interval is a bootstrap over these {n:,} {unit}: 95 % of the resamples score in this range."
        if ends != "–"
        else "No interval could be computed."
    )
    if "group" in truth:
        meaning += f" Whole groups are resampled, because {row}s of one group are not independent."
    meaning += _limits(n, unit, results.metric, ends)
    beside = ""
    if results.optimistic is not None:
        beside = f"optimistic (not nested): {score(results.optimistic['value'])}"
        steps = listed([components.label(one["step"]) for one in results.steps if one["fitted"] is not None])
        meaning += (
            f" For each fold, the parameters of {steps} were fitted on the other folds (nested). Fitted and scored on the same "
            f"{row}s, they give the optimistic {score(results.optimistic['value'])}."
        )
    direction = "larger is better" if results.greater_is_better else "smaller is better"
    label = f"{results.metric}, out of fold ({direction})"
    return Headline(score(entry.get("value")), label, ends, meaning, _facts(results), beside, verdict, _test(results))


def _limits(n: int, what: str, metric: str, ends: str) -> str:
    return "".join(f" {one}" for one in of_interval(n, what, metric) if ends != "–")


def _facts(results: Results) -> list[tuple[str, str]]:
    settings = results.settings
    return [
        *(_tile(len(table), _rows(split, table)) for split, table in results.tables.items()),
        _tile(len(results.classes), *results.facts.kinds),
        _tile(len(results.models), "model"),
        _tile(settings["folds"]["n_folds"], "fold"),
        _tile(len(settings["seeds"]), "seed"),
        *([_tile(results.n_rounds + 1, "round")] if "rounds" in settings else []),
        *([_tile(len(results.taught), "pseudo-label round")] if results.taught else []),
        _trainings(results),
    ]


def _trainings(results: Results) -> tuple[str, str]:
    number, n_inner = n_training_runs(results), n_inner_trainings(results)
    name, text = _tile(number, "training run")
    return f"{name}, {n_inner:,} of them inner" if n_inner else name, text


def _rows(split: str, table: pd.DataFrame) -> str:
    """Noun for one row of a split."""
    return f"{'training' if split == 'train' else split} {cases.word(table)}"


def _tile(number: int, one: str, many: str | None = None) -> tuple[str, str]:
    return noun(number, one, many), f"{number:,}"


def _test(results: Results) -> Headline | None:
    """Score on the test images; None if their targets are not known."""
    found = results.test_score
    if found is None or results.answers is None:
        return None
    row = _rows("test", results.tables["test"])
    sentence = (
        f"The {results.whole}'s predictions for {count(len(results.answers), row)} with known targets. These targets are used "
        f"for this score only: not for training, model selection or weights."
    )
    n, what = independent(with_groups(results.answers, results.tables["test"]), row)
    ends = interval(found.low, found.high)
    sentence += _limits(n, what, results.metric, ends)
    return Headline(score(found.value), f"{results.metric}, {row}s", ends, sentence)


def _named(results: Results) -> str:
    """Number and noun of the images, or cases, that are scored."""
    n, table = len(results.truth), results.tables["train"]
    known = count(len(table), _rows("train", table))
    return known if n == len(table) else f"{n:,} validated of {known}"
