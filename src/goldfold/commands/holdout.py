"""Report the state of the sealed holdout of a run, or open it: score its predictions, count the look and record it."""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from goldfold import openings
from goldfold.base.files import finite
from goldfold.base.words import aligned, count, times
from goldfold.commands.disk import readable_errors
from goldfold.openings import Opening

if TYPE_CHECKING:
    from goldfold.holdouts import Opened, State


def add_options(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``goldfold holdout``."""
    parser.add_argument("results", type=Path, nargs="?", help="folder of the finished run; default: the only one")
    parser.add_argument(
        "--open", action="store_true", help="score the predictions of the holdout; each opening is counted and recorded"
    )
    parser.add_argument("--note", default="", help="why it is opened, for the record")


def run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Print the state, or the scores."""
    from goldfold.holdouts import opened, state
    from goldfold.looks import one_run
    from goldfold.planning.outputs import SEALED

    results = options.results or one_run(file=f"folds/{SEALED}", which="whose holdout is meant")
    if not options.open:
        standing = state(results)
        print(json.dumps(_json(standing), indent=2) if options.json else "\n".join(_standing(standing)))
        return 0
    with readable_errors():
        found = opened(results, options.note)
    values = {**_json(found.state), "is_new": found.is_new, "scores": found.scores, "oof": found.oof}
    print(json.dumps(finite(values), indent=2) if options.json else "\n".join(_scores(found)))
    return 0


def _json(found: "State") -> dict[str, object]:
    rows = [{**asdict(one), "is_expected": one.is_expected} for one in found.openings]
    return dict(finite({**found.__dict__, "openings": rows}))


def _named(found: "State") -> str:
    share = found.cases / (found.cases + found.others)
    return (
        f"{found.results}: holdout {found.holdout} of {count(found.cases, 'case')} ({share:.1%} of all labelled ones)"
    )


def _standing(found: "State") -> Iterator[str]:
    """Whether it is sealed, all openings, and what they mean."""
    n = len(found.openings)
    yield f"{_named(found)}, {f'opened {times(n)}' if n else 'sealed'}."
    if n:
        yield from listing(found.openings)
        yield from luck_of(found.openings)
        yield (
            f"The predictions of this run were opened as number {found.own}."
            if found.own
            else "The predictions of this run are not opened."
        )
    yield from _of_others(found)
    if not found.own:
        yield f"Open it: goldfold holdout {found.results} --open"


def _scores(found: "Opened") -> Iterator[str]:
    from goldfold.drawing.words import interval, score
    from goldfold.metrics.limits import few_cases

    of, one = found.state, found.state.openings[(found.state.own or 1) - 1]
    yield f"{_named(of)}, opening {of.own} of {len(of.openings)}."
    rows: list[Sequence[str]] = [("metric", "holdout", "95 % interval", "out of fold", "95 % interval")]
    for name, ends in found.scores.items():
        both = (ends, found.oof.get(name, {}))
        cells = [
            text for part in both for text in (score(part.get("value")), interval(part.get("low"), part.get("high")))
        ]
        rows.append([name, *cells])
    yield from aligned(rows)
    yield difference(one)
    yield from filter(None, [few_cases(of.cases, "cases of the holdout", one.noise, one.metric)])
    yield from luck_of(of.openings)
    yield from _of_others(of)
    if found.is_new:
        yield f"Recorded in {openings.FILE}. Run snakemake again to show it in the report."
    else:
        yield f"These predictions were opened before, on {one.time[:10]}: this is no new look, and nothing was recorded."


def difference(one: Opening) -> str:
    """Sentence on whether holdout and out-of-fold score differ by more than noise."""
    from goldfold.drawing.words import change, interval, noise_in_words

    said = f"{one.metric}: the holdout differs by {change(one.score - one.oof)} from the out-of-fold score"
    expected = f"{interval(one.expected_low, one.expected_high)} is expected with the noise of both scores"
    causes = (
        "If the holdout is worse, the out-of-fold score may be too good, by choices that were made on it, or by copies over "
        "several folds. Either way, the holdout may have cases of another kind."
    )
    return noise_in_words(said, one.is_expected, expected, causes)


def listing(found: Sequence[Opening]) -> Iterator[str]:
    """The openings as a table."""
    from goldfold.drawing.words import VERDICTS, interval, score

    rows = [("time", "experiment", "metric", "out of fold", "holdout", "expected", "difference", "note")]
    for one in found:
        ends = score(one.oof), score(one.score), interval(one.expected_low, one.expected_high)
        rows.append((one.time, one.experiment, one.metric, *ends, VERDICTS[one.is_expected], one.note))
    yield from aligned(rows)


def luck_of(found: Sequence[Opening]) -> Iterator[str]:
    """Luck of the best of several openings, by metric."""
    from goldfold.drawing.words import luck_in_words
    from goldfold.looks import luck_by_metric

    for metric, n, gain in luck_by_metric(found):
        yield f"{luck_in_words(f'{n} opened ensembles ', gain, f' ({metric})')}."


def _of_others(found: "State") -> Iterator[str]:
    if found.openings_of_others:
        yield (
            f"{openings.FILE} also has {count(found.openings_of_others, 'opening')} of other holdouts; a case that was in one of "
            "them is not sealed."
        )
