"""Section on the ablation: what each switch changes in the score, and what it costs."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from goldfold.base.words import count
from goldfold.config.ablation import variant, variants
from goldfold.drawing.blocks import Block, Figure, Section, Table
from goldfold.drawing.figures import ScoreLine, gains
from goldfold.drawing.words import change, interval, score
from goldfold.metrics.paired import Gain, gain, resampled
from goldfold.planning.origins import origins_of
from goldfold.planning.runs import Member
from goldfold.report import choices, limits
from goldfold.report.results import Results
from goldfold.splits.scored import groups_of

N_RESAMPLES = 300
NO_GAIN = Gain(float("nan"), float("nan"), float("nan"))
MARKS = {
    "chosen_on_fold": (
        "*",
        "unlike for the model, the epoch or the ingredients of the variant, or of a model that it comes from, were chosen on "
        "the validation fold, which inflates the gain",
    ),
    "model_chosen_on_fold": (
        "†",
        "the same for the model and not for the variant: the score of the model is inflated, which lowers the gain; an honest "
        "gain is larger",
    ),
}
"""Columns of the table of which a row has at most one -> its sign, and what it says."""
CONFIDENT_ERRORS = 20
"""Number of switches without effect of which one is expected outside its 95 % interval."""


def table(results: Results) -> pd.DataFrame | None:
    """One row per model and switch: scores, gain with its interval, verdict, seconds per training; None without ablation.

    The row of a model itself has an empty switch.
    """
    switches = results.settings.get("ablate")
    return pd.DataFrame(_rows(results, switches)) if switches else None


def _rows(results: Results, switches: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    metric, seeds = results.chosen_metric, results.settings["seeds"]
    evidence = results.member_evidence
    everything = np.arange(len(results.truth))
    values = {name: metric.value(one, everything) for name, one in evidence.items()}
    n = limits.independent(results.truth, results.row)[0]
    drawn = resampled(metric, evidence, groups_of(results.truth), N_RESAMPLES) if evidence else {}
    apart = {*variants(results.settings), *origins_of(results.settings["models"])}
    for model in [model for model in results.models if model not in apart]:
        base = [name for seed in seeds if (name := Member(model, seed).name) in values]
        for switch in ("", *switches):
            trained = variant(model, switch) if switch else model
            own = [name for seed in seeds if (name := Member(trained, seed).name) in values]
            found = NO_GAIN
            if switch and base and own:
                of = [values[name] for name in base], [values[name] for name in own]
                found = gain(
                    *of, [drawn[name] for name in base], [drawn[name] for name in own], n, metric.greater_is_better
                )
            yield {
                "model": model,
                "switch": switch,
                "settings": ", ".join(_written(switches[switch])) if switch else "",
                results.metric: float(np.mean([values[name] for name in own])) if own else float("nan"),
                "sd_between_seeds": float(np.std([values[name] for name in own], ddof=1))
                if len(own) > 1
                else float("nan"),
                "gain": found.value,
                "low": found.low,
                "high": found.high,
                "verdict": found.verdict,
                "chosen_on_fold": _is_chosen(results, trained) and not _is_chosen(results, model),
                "model_chosen_on_fold": _is_chosen(results, model) and not _is_chosen(results, trained),
                "seconds_per_training": _seconds(results, trained),
            }


def _is_chosen(results: Results, model: str) -> bool:
    """Return whether a model, or one that it comes from, was chosen on the validation fold, which inflates its score."""
    return any(choices.is_chosen(results, run) for run in results.grid.final_runs() if run.model == model)


def _written(change: dict[str, Any], above: str = "") -> Iterator[str]:
    """Settings of a switch as ``key value``.

    >>> list(_written({"train": {"lr": 0.1, "update": "sam"}, "dropout": 0.2}))
    ['train.lr 0.1', 'train.update sam', 'dropout 0.2']
    """
    for key, value in change.items():
        if key in ("train", "params") and isinstance(value, dict):
            yield from _written(value, f"{key}.")
        else:
            yield f"{above}{key} {value}"


def _seconds(results: Results, model: str) -> float:
    """Seconds per training of a model, with the predictions that its teachers made for it.

    A prediction that several runs learn from is made once, and divided among those of the model.
    """
    runs = results.grid.runs(models=[model])
    teachers = {one for run in runs if (lesson := results.grid.lesson(run)) for one in lesson.teachers}
    taught = sum(_mean_seconds(results, "teach", teacher.model) for teacher in sorted(teachers))
    return _mean_seconds(results, "train", model) + taught / len(runs)


def _mean_seconds(results: Results, stage: str, model: str) -> float:
    times = results.benchmarks
    return float(times[(times["stage"] == stage) & (times["model"] == model)]["seconds"].mean())


def members(results: Results) -> list[str]:
    """Names of the members that are variants, which do not vote."""
    return [Member(model, seed).name for model in variants(results.settings) for seed in results.settings["seeds"]]


def section(results: Results, found: pd.DataFrame | None) -> Section | None:
    """Figure and table of the switches, each model's largest gain first; None without ablation.

    Args:
        found: see `table`.
    """
    if found is None:
        return None
    blocks: list[Block] = []
    for model, rows in found.groupby("model", sort=False):
        blocks += _of_model(results, str(model), rows)
    intro = _intro(results, len(found) - found["model"].nunique(), [key for key in MARKS if found[key].any()])
    return Section("ablation", "Ablation", intro, blocks)


def _of_model(results: Results, model: str, rows: pd.DataFrame) -> list[Figure | Table]:
    base, switches = rows[rows["switch"] == ""].iloc[0], rows[rows["switch"] != ""]
    ranked = switches.sort_values("gain", ascending=False, kind="stable", na_position="last")
    lines = [
        ScoreLine(row["switch"], row["gain"], row["low"], row["high"], [], row["verdict"] in ("better", "worse"))
        for row in ranked.to_dict("records")
    ]
    cells = [[model, "as configured", score(base[results.metric]), score(base["sd_between_seeds"]), "", "", "", "1.00"]]
    for row in ranked.to_dict("records"):
        cost = row["seconds_per_training"] / base["seconds_per_training"]
        cells.append([
            row["switch"], row["settings"], score(row[results.metric]), score(row["sd_between_seeds"]), change(row["gain"])
            if np.isfinite(row["gain"]) else "–", interval(row["low"], row["high"]), _verdict(row), _times(cost),
        ])  # fmt: skip
    columns = ["switch", "settings", results.metric, "sd between seeds", "gain", "95 % interval", "verdict", "time"]
    return [
        *([gains(model, lines, results.metric)] if all(np.isfinite(line.value) for line in lines) else []),
        Table(columns, cells, text_columns=["switch", "settings", "verdict"], mark=0),
    ]


def _verdict(row: dict[str, Any]) -> str:
    return " ".join([str(row["verdict"]), *(sign for key, (sign, _) in MARKS.items() if row[key])])


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if np.isfinite(ratio) else "–"


def _of_teachers(results: Results) -> str:
    """Say how the teachers of students count; empty without teachers."""
    has_lessons = any(stage.lessons for stage in results.grid.rounds)
    how = ", with the predictions that its teachers made for it and without their own trainings"
    return how if has_lessons else ""


def _intro(results: Results, n_switches: int, marked: Sequence[str]) -> str:
    seeds = results.settings["seeds"]
    within = (
        f"the choice of {results.row}s and the variation between {count(len(seeds), 'seed')}"
        if len(seeds) > 1
        else f"the choice of {results.row}s but, with one seed, not the randomness of training (set seeds: [0, 1, 2])"
    )
    text = (
        f"Each variant differs from its model in one switch, and is trained in the same folds with the same seeds. The "
        f"gain is the mean out-of-fold score of the variant's members minus that of the model's (positive is better), the "
        f"time that of a training relative to the model's{_of_teachers(results)}. The interval covers {within}. If it "
        f"contains 0, the gain is called noise."
    )
    for sign, meaning in (MARKS[key] for key in marked):
        text += f" {sign}: {meaning}."
    text += f" {found}" if (found := limits.in_words(results)) else ""
    if n_switches >= CONFIDENT_ERRORS // 2:
        text += f" Of {CONFIDENT_ERRORS} switches without effect, about one lies outside its interval by chance."
    return text
