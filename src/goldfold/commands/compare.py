"""Compare the scores of two finished runs on the same cases."""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.base.files import finite
from goldfold.base.words import count

if TYPE_CHECKING:
    from goldfold.comparison import Comparison


def add_options(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``goldfold compare``."""
    parser.add_argument("before", type=Path, help="folder of a finished run, such as results/first")
    parser.add_argument("after", type=Path, help="folder of the run whose gain is asked for, such as results/second")
    parser.add_argument("--metric", help="metric to compare by; default: that of the second run")


def run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Print the scores of both runs, the gain with its interval, and a verdict."""
    from goldfold.comparison import compare, metric_of

    found = compare(options.before, options.after, metric_of(options.metric) if options.metric else None)
    print(json.dumps(finite(asdict(found)), indent=2) if options.json else "\n".join(_lines(found)))
    return 0


def _lines(found: "Comparison") -> Iterator[str]:
    from goldfold.drawing.words import change, interval, score

    yield f"{found.metric}, out of fold, on {count(found.n_cases, 'case')} of both runs: {found.before} -> {found.after}"
    width = max(len(row.name) for row in found.rows)
    for row in found.rows:
        within = f"95 % interval {interval(row.gain.low, row.gain.high)}"
        scores = f"{score(row.before)} -> {score(row.after)}"
        verdict = "identical predictions" if row.is_identical else row.gain.verdict or "unknown"
        yield f"  {row.name:<{width}}  {scores}  gain {change(row.gain.value)} ({within}): {verdict}"
    yield _verdict(found)
    yield from _notes(found)


def _verdict(found: "Comparison") -> str:
    if found.rows[0].is_identical:
        return "The ensembles of both runs made identical predictions."
    words = {
        "better": f"{found.after} is better by more than the choice of cases explains.",
        "worse": f"{found.after} is worse by more than the choice of cases explains.",
        "noise": "The difference between the ensembles is noise: its interval contains 0.",
    }
    return words.get(found.rows[0].gain.verdict, "The difference has no interval: too few cases can be scored.")


def _notes(found: "Comparison") -> Iterator[str]:
    """What the interval does not contain, and what differs besides the predictions."""
    from goldfold.metrics.limits import of_interval

    yield (
        "The interval is a paired bootstrap over cases (over groups if there are groups). For models with several seeds it "
        "includes the variation between trainings, for the ensembles it does not."
    )
    what = "cases" if found.n_independent == found.n_cases else "groups of cases"
    yield from of_interval(found.n_independent, what, found.metric)
    if not found.has_same_folds:
        yield "The runs have other folds, so the difference is also one between two splits, which the interval does not contain."
    for n, name in zip(found.n_other, (found.before, found.after), strict=True):
        if n:
            yield f"Not compared: {count(n, 'case')} that only {name} has predicted out of fold."
    if found.n_relabelled:
        other = count(found.n_relabelled, "case has", "cases have")
        yield f"{other} another target in {found.after}; both runs are scored by its targets."
