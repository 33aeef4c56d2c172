"""Sections on the score: leaderboard, folds, rounds of pseudo labels."""

from collections.abc import Collection

import numpy as np

from goldfold.base.words import noun
from goldfold.drawing.blocks import Block, Section, Table, Text
from goldfold.drawing.figures import ScoreLine, forest
from goldfold.drawing.words import change, interval, listed, score
from goldfold.metrics import Evidence
from goldfold.metrics.paired import Gain
from goldfold.report import ablation, fits, limits, round_gains, rounds, verdict
from goldfold.report import pseudo_labels as pseudo
from goldfold.report.comparison import Comparison, luck_in_words
from goldfold.report.results import ENSEMBLE, Results

_VARIANTS = " Variants of the ablation are marked: they do not vote, and are compared with their models under Ablation."
FoldScores = dict[str, dict[int, float]]
"""Score by member and fold."""


def fold_scores(results: Results) -> FoldScores:
    """Score of each member, and of the ensemble if there is one, on each fold's validation images."""
    folds, value = results.truth["fold"].astype(int).to_numpy(), results.chosen_metric.value
    rows = {int(fold): np.flatnonzero(folds == fold) for fold in np.unique(folds)}

    def by_fold(evidence: Evidence) -> dict[int, float]:
        return {fold: value(evidence, of) for fold, of in rows.items()}

    found = {name: by_fold(results.member_evidence[name]) for name in results.members}
    return {**found, results.whole_name: by_fold(results.evidence)}


def leaderboard(results: Results, folds: FoldScores, compared: Comparison | None = None) -> Section:
    """Members and ensemble, best first, with the luck of the best of several members."""
    variants = set(ablation.members(results))
    lines = [
        ScoreLine(
            _marked(row["member"], variants), row[results.metric], row["low"], row["high"],
            list(folds.get(row["member"], {}).values()), row["member"] == results.whole_name,
        )
        for row in results.named(results.leaderboard).to_dict("records")
    ]  # fmt: skip
    weights = results.ensemble["weights"] if fits.are_weighted(results) else {}
    table = Table(
        ["", "member", results.metric, "95 % interval", *["weight"] * bool(weights)],
        [
            [
                str(place),
                line.name,
                score(line.value),
                interval(line.low, line.high),
                *[_weight(weights.get(line.name))] * bool(weights),
            ]
            for place, line in enumerate(lines, start=1)
        ],
        text_columns=["member"],
        mark=next((row for row, line in enumerate(lines) if line.stands_out), None),
    )
    direction = "larger" if results.greater_is_better else "smaller"
    intro = f"Out-of-fold scores of the last round; {direction} is better. {_member_note(results)}{_VARIANTS * bool(variants)}"
    luck = luck_in_words(compared, results.row)
    blocks: list[Block] = [forest(lines, results.metric), table, *([Text(luck)] if luck else [])]
    blocks += [*_by_fold(results, folds), *_other_metrics(results)]
    return Section("leaderboard", "Leaderboard", intro, blocks)


def _marked(member: str, variants: Collection[str]) -> str:
    """Name of a member; that of a variant of the ablation with a mark."""
    return f"{member} (variant)" if member in variants else member


def _member_note(results: Results) -> str:
    if results.is_ensemble or len(results.ensemble["weights"]) > 1:
        return f"A member is one model with one seed.{_external_note(results)}"
    by_folds = results.test is not None and not results.full.rounds
    fused = f" Test {results.row}s are predicted by its models of all folds." if by_folds else ""
    return f"There is only one member, so there is nothing to compare it with.{fused}"


def _external_note(results: Results) -> str:
    """Name the members of other tools, and those whose folds were not compared."""
    given = results.settings.get("external") or []
    if not given:
        return ""
    names = listed([one["name"] for one in given])
    unchecked = [one["name"] for one in given if one["fold"] is None]
    text = f" {names}: predictions of another tool ({noun(len(given), 'external member')})"
    if not unchecked:
        return f"{text}, out of the same folds as those of this run."
    return (
        f"{text}. The folds of {listed(unchecked)} were not compared with those of this run (fold: null): if they differ, its "
        f"models have seen labels of the images that weights are scored on."
    )


def _weight(weight: float | None) -> str:
    return "" if weight is None else f"{weight:.3f}"


def _by_fold(results: Results, folds: FoldScores) -> list[Block]:
    names = [name for name in results.named(results.leaderboard)["member"] if name in folds]
    numbers = sorted(folds[results.whole_name])
    rows = []
    for name in names:
        values = [folds[name][number] for number in numbers]
        known = [value for value in values if np.isfinite(value)]
        spread = float(np.std(known, ddof=1)) if len(known) > 1 else float("nan")
        mean = float(np.mean(known)) if known else float("nan")
        rows.append([name, score(mean), score(spread), *map(score, values)])
    columns = ["member", "mean", "sd", *(f"fold {number}" for number in numbers)]
    mark = names.index(results.whole_name) if results.whole_name in names else None
    table = Table(columns, rows, text_columns=["member"], mark=mark)
    words = f"{_spread_in_words(results, folds)}{limits.pooled_in_words(results, folds)}{_unscored_in_words(results, folds)}"
    return [Text(words, heading="Scores by fold"), table]


def _spread_in_words(results: Results, folds: FoldScores) -> str:
    """Compare the spread of the score between folds with that between seeds."""
    if not set(folds) & set(results.members):
        return f"The members' predictions are no longer on disk, so only the {results.whole} is scored by fold."
    between_folds, between_seeds = verdict.spreads(results, folds)
    text = f"Between folds, a member's score varies by {score(between_folds)} (standard deviation, mean of the members)"
    if len(results.settings["seeds"]) == 1:
        return text + "; with one seed, the variation between seeds is unknown."
    return f"{text}; between seeds, on the same fold, by {score(between_seeds)}."


def _unscored_in_words(results: Results, folds: FoldScores) -> str:
    """Name the folds that cannot be scored; empty if all can."""
    lost = sorted({number for scores in folds.values() for number, value in scores.items() if not np.isfinite(value)})
    if not lost:
        return ""
    return (
        f" {results.metric} cannot be computed in {noun(len(lost), 'fold')} {listed([str(number) for number in lost])}, as where "
        f"all {results.row}s of a fold have one class. Means and deviations are those of the other folds; the score of all folds "
        f"together includes these {results.row}s."
    )


def _other_metrics(results: Results) -> list[Block]:
    rows = [
        [name, score(entry.get("value")), interval(entry.get("low"), entry.get("high"))]
        for name, entry in results.metrics["oof"].items()
    ]
    return [
        Text(
            f"The same out-of-fold predictions of the {results.whole}, scored by other metrics; their intervals are from fewer "
            f"resamples than that of {results.metric}.",
            "Other metrics",
        ),
        Table(["metric", results.whole, "95 % interval"], rows, text_columns=["metric"], mark=0),
    ]


def pseudo_labels(results: Results) -> Section | None:
    """Scores and labels by round; None with a single round."""
    if not results.n_rounds:
        return None
    wide = results.named(results.rounds).pivot(index="member", columns="round", values=results.metric)
    numbers = sorted(wide.columns)
    order = [name for name in results.named(results.leaderboard)["member"] if name in wide.index]
    rows = []
    for name in order:
        values = [float(wide.loc[name, number]) for number in numbers]
        first = next((value for value in values if np.isfinite(value)), values[-1])
        rows.append([name, change(values[-1] - first), *map(score, values)])
    columns = ["member", "last − first", *(f"round {number}" for number in numbers)]
    table = Table(columns, rows, text_columns=["member"], mark=order.index(results.whole_name))
    text = Text(rounds_in_words(results))
    blocks = [text, *rounds.blocks(results), table, *round_gains.blocks(results), *pseudo.blocks(results)]
    title = "Rounds" if "rounds" in results.settings else "Pseudo labels"
    return Section("pseudo", title, rounds.intro(results), blocks)


def rounds_in_words(results: Results) -> str:
    """State whether the last round is better than the first, and whether the difference may be noise."""
    whole = results.rounds[results.rounds["member"] == ENSEMBLE].set_index("round")
    first, last, begin = whole.iloc[0], whole.iloc[-1], int(whole.index[0])
    if len(whole) == 1:
        scored = "an ensemble" if results.is_ensemble else "a model with a weight"
        return f"Only round {begin} has {scored}; its {results.metric} is {score(last[results.metric])}."
    difference = last[results.metric] - first[results.metric]
    is_better = difference > 0 if results.greater_is_better else difference < 0
    gain = round_gains.of_ensemble(results, begin, int(whole.index[-1]))
    if results.taught and not any(len(table) for table in results.pseudo.values()):
        return (
            f"No {results.row} was predicted with enough confidence to get a pseudo label, so rounds differ only by "
            f"{_round_differences(results)}. The {results.whole}'s {results.metric} was {score(first[results.metric])} in "
            f"round {begin} and {score(last[results.metric])} in round {int(whole.index[-1])} ({change(difference)})."
        )
    span = f"From round {begin} to round {int(whole.index[-1])} the {results.whole}'s {results.metric}"
    if not difference:
        return f"{span} did not change."
    return (
        f"{span} {'improved' if is_better else 'worsened'} from {score(first[results.metric])} to "
        f"{score(last[results.metric])} ({change(difference)}){_paired(results, gain)}."
    )


def _paired(results: Results, gain: Gain | None) -> str:
    """Say what the paired comparison of two rounds decides; empty without one."""
    if gain is None or not gain.verdict:
        return ""
    if gain.verdict == "noise":
        return f": no difference that the {results.row}s can show (95 % interval of the gain {interval(gain.low, gain.high)})"
    said = "a gain" if gain.verdict == "better" else "a loss"
    return f": {said} beyond the choice of {results.row}s (95 % interval of the gain {interval(gain.low, gain.high)})"


def _round_differences(results: Results) -> str:
    """Describe how rounds differ besides their pseudo labels."""
    random = "the randomness of training"
    return f"their settings and {random}" if "rounds" in results.settings else random
