"""Gains of the rounds over the rounds before, on the same cases, as a table and in words."""

from typing import Any

import numpy as np

from goldfold.config.ablation import variants
from goldfold.drawing.blocks import Table, Text
from goldfold.drawing.words import change, interval, score
from goldfold.metrics.paired import Gain
from goldfold.report import limits
from goldfold.report.results import ENSEMBLE, Results

VERDICTS = {"better": "gain", "worse": "loss", "noise": "no difference that the cases can show", "": "unknown"}


def found(results: Results) -> list[tuple[dict[str, Any], Gain]]:
    """Comparisons of two rounds, each with its gain; without variants of an ablation."""
    apart = variants(results.settings)
    return [(one, _gain(one)) for one in results.metrics.get("rounds", []) if one["of"] not in apart]


def of_ensemble(results: Results, before: int, after: int) -> Gain | None:
    """Gain of the ensemble of one round over that of another; None if they were not compared."""
    wanted = (ENSEMBLE, before, after)
    return next((gain for one, gain in found(results) if (one["of"], one["before"], one["after"]) == wanted), None)


def blocks(results: Results) -> list[Text | Table]:
    """Table of the gains of each round; empty if there are none."""
    rows = [
        [
            f"{one['after']} after {one['before']}", results.whole_name if one["of"] == ENSEMBLE else one["of"],
            change(gain.value) if np.isfinite(gain.value) else "–", interval(gain.low, gain.high), score(gain.p),
            VERDICTS[gain.verdict],
        ]
        for one, gain in _different(found(results))
    ]  # fmt: skip
    if not rows:
        return []
    n, what = limits.independent(results.truth, results.row)
    seeds = (
        "The spread between the seeds of a model is part of its interval."
        if len(results.settings["seeds"]) > 1
        else "With one seed, the randomness of training is not part of the interval (set seeds: [0, 1, 2])."
    )
    text = (
        f"Both rounds are scored on the same {n:,} {what}, so their difference is known better than either score; positive is "
        f"better. The interval is a paired bootstrap. {seeds} A model that a round does not train is not listed."
    )
    columns = ["round", "of", "gain", "95 % interval", "p", "verdict"]
    return [
        Text(text, heading="Gain of each round"),
        Table(columns, rows, text_columns=["round", "of", "verdict"]),
    ]


def _different(compared: list[tuple[dict[str, Any], Gain]]) -> list[tuple[dict[str, Any], Gain]]:
    """Without the only model, if its gain is that of the ensemble."""
    if len({one["of"] for one, _ in compared} - {ENSEMBLE}) > 1:
        return compared
    whole = [(one["before"], one["after"], gain) for one, gain in compared if one["of"] == ENSEMBLE]
    return [
        (one, gain)
        for one, gain in compared
        if one["of"] == ENSEMBLE or (one["before"], one["after"], gain) not in whole
    ]


def _gain(one: dict[str, Any]) -> Gain:
    """Read a gain from metrics.json, in which unknown numbers are null."""
    return Gain(*(float("nan") if one[name] is None else one[name] for name in ("value", "low", "high", "p")))
