"""Description of the rounds: models trained, first weights, and teachers of the pseudo labels."""

from collections.abc import Callable, Mapping
from typing import Any

from goldfold.base.words import count
from goldfold.config.ablation import variants
from goldfold.drawing.blocks import Table, Text
from goldfold.drawing.words import listed
from goldfold.planning.runs import Round, Run
from goldfold.report.results import Results

WHY_SAME_FOLD = "so that the out-of-fold score stays unbiased."


def train_of(settings: Mapping[str, Any], model: str, number: int) -> dict[str, Any]:
    """Training settings of a model in a round; those of the round override its own."""
    own = next(entry for entry in settings["models"] if entry["name"] == model).get("train", {})
    of_round = settings["rounds"][number]["train"] if "rounds" in settings else {}
    return {**own, **of_round}


def final_runs(results: Results) -> list[Run]:
    """Runs whose predictions become the result; variants of an ablation are none of them."""
    apart = variants(results.settings)
    return [run for run in results.grid.final_runs() if run.model not in apart]


def chosen(results: Results, final: Run, is_chosen: Callable[[Run], bool]) -> str:
    """Name of a model if something of its final run was chosen on the validation fold, or of a run that it comes from.

    A run comes from those that it started from or is made from, and from its teachers, by pseudo labels or distillation;
    the first of these is named with it. Empty if nothing was chosen.
    """
    how = "ingredient" if final.model in results.grid.origins else "start"
    starts, taught = list(results.grid.ancestry(final)), list(results.grid.taught(final))
    for run, by in [*((run, how) for run in starts), *((run, "teacher") for run in taught)]:
        if is_chosen(run):
            return run.model if run == final else f"{final.model} (by its {by}, {run.model} of round {run.round})"
    return ""


def intro(results: Results) -> str:
    """Explain how the rounds build on each other."""
    if "rounds" not in results.settings:
        least = selection(results.settings["pseudo_labels"], results.facts.target)
        return (
            f"Round 0 is trained on the given labels only. Each later round is also trained on images without a label that "
            f"the models of the round before predict with a confidence of at least "
            f"{least}. Pseudo labels for a fold come only from models of that "
            f"fold, {WHY_SAME_FOLD}"
        )
    return (
        f"The ensemble of a round uses the latest network of each model, so a member that is not trained in a round keeps its "
        f"score. First weights and pseudo labels for a fold come only from models of that fold, {WHY_SAME_FOLD}"
    )


def blocks(results: Results) -> list[Text | Table]:
    """Table of the rounds; empty if they differ in their labels only."""
    if "rounds" not in results.settings:
        return []
    cleans = any(stage.cleaning is not None for stage in results.grid.rounds)
    rows = [[*_row(results, stage), *[_cleaning(results, stage)] * cleans] for stage in results.grid.rounds]
    columns = [
        "round",
        "trained",
        "settings",
        "first weights",
        "teacher",
        "pseudo labels per fold",
        *["cleaning"] * cleans,
    ]
    return [Text("", heading="Settings of each round"), Table(columns, rows, text_columns=columns)]


def _row(results: Results, stage: Round) -> list[str]:
    wanted = results.settings["rounds"][stage.number]
    settings = ", ".join(f"{key} {value}" for key, value in wanted["train"].items())
    return [
        str(stage.number), listed(list(stage.models)), settings or "the models' own", _starts(stage),
        _teacher(results, stage), _labelled(results, stage),
    ]  # fmt: skip


def _starts(stage: Round) -> str:
    """Describe the rounds and models whose weights a round starts from."""
    found: dict[str, list[str]] = {}
    for model, (origin, number) in stage.starts.items():
        found.setdefault(f"{origin} of round {number}", []).append(model)
    return "; ".join(
        origin if models == [origin.split(" of ")[0]] else f"{listed(models)} from {origin}"
        for origin, models in found.items()
    ) or "scratch"  # fmt: skip


def _teacher(results: Results, stage: Round) -> str:
    if not stage.teachers:
        return "none"
    wanted = results.settings["rounds"][stage.number]["teacher"]
    weight = f", weight {wanted['weight']:g}" if wanted["weight"] != 1 else ""
    least = selection(wanted, results.facts.target)
    return f"{listed(list(stage.teachers))} of round {stage.taught_by}, at least {least}{weight}"


def selection(wanted: Mapping[str, Any], target: str) -> str:
    """Describe which images a teacher labels, and the form of the labels.

    >>> selection({"threshold": 0.9, "labels": {"soft": {"power": 2.0, "floor": 0.0}}, "top_k": 50}, "label")
    '0.9, the 50 most confident per class, soft labels (power 2, floor 0)'
    """
    at = wanted["threshold"]
    decay = isinstance(at, Mapping)
    said = [f"{at['start']:g}, times {at['factor']:g} per round down to {at['floor']:g}" if decay else f"{at:g}"]
    if by_class := wanted.get("class_thresholds"):
        said.append(listed([f"{value:g} for {name}" for name, value in by_class.items()]))
    if adapt := wanted.get("adapt"):
        said.append(f"moved per class by {adapt['by']} down to {adapt['floor']:g}")
    if (top_k := wanted.get("top_k")) is not None:
        said.append(
            f"the {f'{top_k:g}' if top_k >= 1 else f'{top_k:.0%}'} most confident{' per class' * (target == 'label')}"
        )
    labels = wanted.get("labels", "hard")
    if labels != "hard":
        soft = labels["soft"] if isinstance(labels, Mapping) else {}
        given = f" (power {soft['power']:g}, floor {soft['floor']:g})" if soft else ""
        said.append(f"soft labels{given}")
    return ", ".join(said)


def _cleaning(results: Results, stage: Round) -> str:
    if stage.cleaning is None:
        return "none"
    action = results.settings["rounds"][stage.number]["clean"]["action"]
    return f"{action}, by {listed(list(stage.cleaning.models))} of round {stage.cleaning.judged_by}"


def _labelled(results: Results, stage: Round) -> str:
    numbers = [len(table) for (number, _), table in results.pseudo.items() if number == stage.number]
    if not numbers:
        return "–"
    least, most = min(numbers), max(numbers)
    return count(most, results.row) if least == most else f"{least:,} to {count(most, results.row)}"
