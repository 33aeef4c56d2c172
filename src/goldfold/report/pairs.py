"""Section on the differences between all pairs of members: which of them are more than noise."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from goldfold.base.words import count, noun
from goldfold.drawing.blocks import Block, Section, Table, Text
from goldfold.drawing.pairs import differences
from goldfold.drawing.words import change, interval, score
from goldfold.metrics.pairs import LEVEL, Pair, pairs
from goldfold.planning.runs import Member
from goldfold.predictions.resampled import Drawn
from goldfold.report.comparison import compared
from goldfold.report.limits import in_words, independent
from goldfold.report.results import Results

FILE = "pairs.csv"
MOST_MEMBERS = 12
"""Members shown in the report, the best ones; the rest are in the table beside it."""
COLUMNS = ["better", "other", "difference", "low", "high", "p", "p_holm", "verdict"]


def find(results: Results, drawn: Drawn) -> list[Pair]:
    """Compare all pairs of members, external ones too and variants of an ablation not; empty with fewer than two members.

    Args:
        drawn: scores of the members on the same resampled images (or groups).
    """
    values = results.leaderboard.set_index("member")[results.metric]
    names, n = compared(results, drawn), independent(results.truth, results.row)[0]
    return pairs({name: float(values[name]) for name in names}, drawn, n, results.greater_is_better)


def table(found: Sequence[Pair]) -> pd.DataFrame | None:
    """One row per pair: members, difference with its interval, p value, the same corrected, and verdict; None without any."""
    rows = [
        [
            pair.better,
            pair.other,
            pair.gain.value,
            pair.gain.low,
            pair.gain.high,
            pair.gain.p,
            pair.p_holm,
            pair.verdict,
        ]
        for pair in found
    ]
    return pd.DataFrame(rows, columns=COLUMNS) if rows else None


def section(results: Results, found: Sequence[Pair]) -> Section | None:
    """Matrix and table of the pairs of the best members; None with fewer than two."""
    if not found:
        return None
    names = list(dict.fromkeys(name for pair in found for name in (pair.better, pair.other)))
    shown = names[:MOST_MEMBERS]
    listed = [pair for pair in found if pair.better in shown and pair.other in shown]
    blocks: list[Block] = [Text(" ".join(filter(None, [_number(found), *_seeds(results, found), in_words(results)])))]
    if len(shown) > 2:
        cells = {(pair.better, pair.other): (pair.gain.value, pair.verdict) for pair in listed}
        caption = (
            f"Score of the row's member minus that of the column's, in the direction that is better; the best member is 1. "
            f"Dark: better, also with Holm's correction; light: unclear.{_left_out(len(shown), len(names))}"
        )
        blocks.append(differences(shown, cells, results.metric, caption))
    rows = [
        [
            pair.better, pair.other, change(pair.gain.value), interval(pair.gain.low, pair.gain.high), _p(pair.gain.p),
            _p(pair.p_holm), pair.verdict or "unknown",
        ]
        for pair in listed
    ]  # fmt: skip
    columns = ["better", "other", "difference", "95 % interval", "p", "p, Holm", "verdict"]
    blocks.append(Table(columns, rows, text_columns=["better", "other", "verdict"], caption=_meaning(results)))
    intro = (
        f"Members are scored on the same {results.row}s, so their difference is known better than either score: overlapping "
        f"intervals in the leaderboard do not mean that two members are equally good."
    )
    return Section("pairs", "Members against each other", intro, blocks, short="Pairs of members")


def _number(found: Sequence[Pair]) -> str:
    """State how many pairs differ, and how many would by chance."""
    verdicts, n = Counter(pair.verdict for pair in found), len(found)
    if n == 1:
        (pair,) = found
        what = {"better": "is more than noise", "noise": "is noise: its interval contains 0"}
        return f"The difference between the two members {what.get(pair.verdict, 'has no interval')}."
    alone = verdicts["better"] + verdicts["unclear"]
    if not alone:
        return f"All differences between the {count(n, 'pair')} are noise: their intervals contain 0."
    return (
        f"Of {count(n, 'pair')}, {alone} {noun(alone, 'differs', 'differ')} if each is tested alone (interval without 0), and "
        f"{verdicts['noise']} {noun(verdicts['noise'], 'is', 'are')} noise. If all members were equally good, about "
        f"{LEVEL * n:.1f} would differ by chance. With Holm's correction for {n} tests, "
        f"{verdicts['better'] or 'none'} {noun(verdicts['better'], 'differs', 'differ') if verdicts['better'] else 'differs'}"
        f"{'; the rest is called unclear' if verdicts['unclear'] else ''}."
    )


def _seeds(results: Results, found: Sequence[Pair]) -> list[str]:
    """Compare with pairs of one model, which differ in their seed alone."""
    seeds = results.settings["seeds"]
    models = {Member(model, seed).name: model for model in results.models for seed in seeds}
    same = [pair for pair in found if models.get(pair.better, pair.better) == models.get(pair.other, pair.other)]
    if not same:
        return [
            f"The test is of the choice of {results.row}s: trained again with other seeds, two models may differ by more."
        ]
    largest = max(pair.gain.value for pair in same)
    return [
        f"Between seeds of one model the difference is up to {score(largest)}: a difference between two models that is no "
        f"larger may be the randomness of training, which the test does not contain."
    ]


def _p(value: float) -> str:
    return "below 0.0001" if value < 0.0001 else score(value)


def _left_out(n_shown: int, n: int) -> str:
    return f" The best {n_shown} of {n} members are shown; {FILE} has all pairs." if n > n_shown else ""


def _meaning(results: Results) -> str:
    _, what = independent(results.truth, results.row)
    return (
        f"Interval and p: paired bootstrap over {what}, of each pair alone. p, Holm: corrected for the number of pairs. Noise: "
        f"the interval contains 0; unclear: it does not, but among so many pairs that is expected now and then."
    )
