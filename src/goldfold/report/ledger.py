"""Section on the ledger of looks: public scores of submissions against their out-of-fold scores."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from goldfold import ledger
from goldfold.base.words import count
from goldfold.drawing.blocks import Section, Table, Text
from goldfold.drawing.looks import Point, public_against_oof
from goldfold.drawing.words import VERDICTS, interval, luck_in_words, percent, score, shortened
from goldfold.ledger import Look
from goldfold.looks import luck
from goldfold.report.results import Results

FEWEST_RANKED = 5
"""Submissions from which on a rank correlation is reported."""
MOST_SHOWN = 40


def section(results: Results, path: str | Path = ledger.FILE) -> Section | None:
    """Figure, table and what noise explains; None without a look at these test images with this metric."""
    test = results.tables.get("test")
    if test is None:
        return None
    looks = ledger.of(ledger.read(path), ledger.test_set(list(test["id"])), results.metric)
    if not looks:
        return None
    points = [
        Point(look.oof, look.public, (look.oof_low, look.oof_high), look.interval, look.is_expected is False)
        for look in looks
    ]
    intro = (
        f"{count(len(looks), 'look')} at the public score of {count(len(test), 'test image')}, from {ledger.FILE}, by all "
        "experiments. A submission that is chosen by its public score is, on average, not as good as that score."
    )
    said = " ".join(filter(None, (spread(looks), ranks(looks), best(looks))))
    return Section(
        "looks", "Public scores", intro, [public_against_oof(points, results.metric), Text(said), _table(looks)]
    )


def spread(looks: Sequence[Look]) -> str:
    """Sentence on how much of the spread of the public scores noise explains; empty where it is unknown."""
    noises = np.array([look.noise for look in looks])
    if len(looks) < 2 or not np.isfinite(noises).all():
        return ""
    found, expected = float(np.std([look.public for look in looks], ddof=1)), float(np.sqrt(np.mean(noises**2)))
    said = (
        f"The public scores have a standard deviation of {score(found)}; that of the noise of one public score is "
        f"{score(expected)}"
    )
    if expected >= found:
        return f"{said}, which is enough to explain all of the spread."
    return f"{said}, which explains at most {percent((expected / found) ** 2, 0)} of their variance."


def ranks(looks: Sequence[Look]) -> str:
    """Sentence on whether the public score ranks submissions like the out-of-fold score; empty for few or equal ones."""
    from scipy import stats

    both = [[look.oof for look in looks], [look.public for look in looks]]
    if len(looks) < FEWEST_RANKED or any(len(set(values)) == 1 for values in both):
        return ""
    found = stats.spearmanr(*both)
    rho, is_sure = float(found.statistic), float(found.pvalue) < 0.05
    how = ("the same order" if rho > 0 else "the opposite order") if is_sure else "an order that may be unrelated"
    return f"Both scores rank the {len(looks)} submissions in {how} (Spearman's rank correlation {rho:.2f})."


def best(looks: Sequence[Look]) -> str:
    """Sentence on the luck of the best look; empty for one look, or where it is unknown."""
    gain = luck(looks)
    if len(looks) < 2 or not math.isfinite(gain):
        return ""
    return f"{luck_in_words(f'{len(looks)} ', gain)}; less if the submissions resemble each other."


def _table(looks: Sequence[Look]) -> Table:
    columns = ["recorded", "experiment", "out of fold", "public", "expected", "difference", "note"]
    shown = [list(_cells(look)) for look in looks[::-1][:MOST_SHOWN]]
    caption = "Latest first. Expected: range of 95 % of public scores, with the noise of both scores."
    if len(looks) > MOST_SHOWN:
        caption += f" The latest {MOST_SHOWN} of {len(looks)} are listed."
    return Table(columns, shown, ["recorded", "experiment", "difference", "note"], caption)


def _cells(look: Look) -> Iterator[str]:
    yield look.time[:10]
    yield shortened(look.experiment, 30)
    yield score(look.oof)
    yield score(look.public)
    yield interval(look.expected_low, look.expected_high)
    yield VERDICTS[look.is_expected]
    yield shortened(look.note, 40)
