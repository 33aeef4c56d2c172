"""Record the public score of a submission, or list all recorded ones."""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from goldfold import ledger
from goldfold.base.errors import DataError
from goldfold.base.files import finite
from goldfold.base.words import aligned, count
from goldfold.commands.disk import readable_errors

FIRST = "The score comes first: goldfold submitted 0.912 results/mine"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``goldfold submitted``."""
    parser.add_argument("score", nargs="?", help="public score of the submission; without one, the ledger is listed")
    parser.add_argument("results", type=Path, nargs="?", help="folder of the finished run; default: the only one")
    parser.add_argument(
        "--public-share",
        help="share of the test images that the public score is computed on, such as 0.3; default: that of the last submission "
        "for the same test images, or 1",
    )
    parser.add_argument("--note", default="", help="what was tried")
    parser.add_argument(
        "--again", action="store_true", help="replace the score of a submission that is already recorded"
    )


def run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Add a row to the ledger and print what its noise allows, or list all rows."""
    if options.score is None:
        looks = ledger.read()
        print(json.dumps([_json(look) for look in looks], indent=2) if options.json else "\n".join(_listing(looks)))
        return 0
    from goldfold.looks import look, one_run

    public, share = _score(options.score), _share(options.public_share)
    earlier = ledger.read()
    new = look(options.results or one_run(), public, share, options.note, earlier)
    with readable_errors():
        looks = ledger.add(new, again=options.again)
    print(json.dumps(_json(new), indent=2) if options.json else "\n".join(_recorded(new, looks, share is not None)))
    return 0


def _score(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        raise DataError(f"{text!r} is not a score (a number such as 0.912). {FIRST}") from None
    if not math.isfinite(found):
        raise DataError(f"{text!r} is not a score: a finite number is needed. {FIRST}")
    return found


def _share(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found <= 1:
        raise DataError(f"--public-share {text}: not a share above 0 and at most 1. Write 0.3 for 30 %.")
    return found


def _json(look: ledger.Look) -> object:
    return finite({**asdict(look), "is_expected": look.is_expected})


def _recorded(look: ledger.Look, looks: Sequence[ledger.Look], has_share: bool) -> Iterator[str]:
    from goldfold.drawing.words import interval, percent, score
    from goldfold.metrics.limits import few_cases

    yield (
        f"{look.experiment}: {look.metric} {score(look.public)} public, {score(look.oof)} out of fold "
        f"(95 % interval {interval(look.oof_low, look.oof_high)})"
    )
    yield f"Difference: {_difference(look)}"
    part = "all" if look.public_share == 1 else f"{percent(look.public_share)} of"
    yield f"The public score is taken to be that of {part} {count(look.test_images, 'test image')}" + (
        "." if has_share else "; --public-share sets another share."
    )
    n = max(1, round(look.public_share * look.test_images))
    yield from filter(None, [few_cases(n, "public images", look.noise, look.metric)])
    yield _luck(ledger.of(looks, look.test_set, look.metric))
    yield f"Recorded in {ledger.FILE}. Run snakemake again to show it in the report."


def _difference(look: ledger.Look) -> str:
    from goldfold.drawing.words import change, interval, noise_in_words

    within = interval(look.expected_low, look.expected_high)
    expected = f"a public score of {within} is expected with the noise of both scores"
    causes = (
        "Test images may be of another kind; or, if the public score is worse, the out-of-fold score too good: see the "
        "report's sections on shift and copies."
    )
    return noise_in_words(change(look.public - look.oof), look.is_expected, expected, causes)


def _luck(looks: Sequence[ledger.Look]) -> str:
    from goldfold.drawing.words import luck_in_words
    from goldfold.looks import luck

    number, gain = count(len(looks), "look"), luck(looks)
    said = f"{number} at these test images so far ({looks[-1].metric})"
    if len(looks) == 1 or not math.isfinite(gain):
        return f"{said}."
    return f"{said}. {luck_in_words('', gain)}."


def _listing(looks: Sequence[ledger.Look]) -> Iterator[str]:
    """The ledger as a table, and the luck of each test set."""
    if not looks:
        yield f"{ledger.FILE} has no submissions yet. Record one: goldfold submitted 0.912 results/mine"
        return
    rows = [
        ("time", "experiment", "metric", "out of fold", "public", "expected", "difference", "note"),
        *map(_row, looks),
    ]
    yield from aligned(rows)
    for of_set, metric in dict.fromkeys((look.test_set, look.metric) for look in looks):
        yield _luck(ledger.of(looks, of_set, metric))


def _row(look: ledger.Look) -> tuple[str, ...]:
    from goldfold.drawing.words import VERDICTS, interval, score

    ends = score(look.oof), score(look.public), interval(look.expected_low, look.expected_high)
    return (look.time, look.experiment, look.metric, *ends, VERDICTS[look.is_expected], look.note)
