"""Rounds in words: which models each trained, from which weights, and who labelled images for it."""

from collections.abc import Mapping
from typing import Any

from goldfold.base.words import count
from goldfold.drawing.blocks import Table, Text
from goldfold.drawing.words import listed
from goldfold.grid import Round
from goldfold.report.results import Results

HONEST = "so that the out-of-fold score stays honest."


def train_of(settings: Mapping[str, Any], model: str, number: int) -> dict[str, Any]:
    """Training settings that a model has in a round: those of the round replace its own."""
    own = next(entry for entry in settings["models"] if entry["name"] == model).get("train", {})
    of_round = settings["rounds"][number]["train"] if "rounds" in settings else {}
    return {**own, **of_round}


def intro(results: Results) -> str:
    """How the rounds build on each other."""
    if "rounds" not in results.settings:
        return (
            f"Round 0 learns from the labels alone; each later round also learns from what the models of the round before "
            f"are sure of on images without a label (at least {results.settings['pseudo_labels']['threshold']:g}). Labels "
            f"for a fold come only from models of that same fold, {HONEST}"
        )
    return (
        f"The ensemble of a round is made of the latest networks of each model, so that a member which a round does not train "
        f"keeps its score. First weights and pseudo labels for a fold come only from models of that same fold, {HONEST}"
    )


def blocks(results: Results) -> list[Text | Table]:
    """What each round did, where the rounds differ in more than their labels."""
    if "rounds" not in results.settings:
        return []
    rows = [_row(results, stage) for stage in results.grid.rounds]
    columns = ["round", "trained", "settings", "first weights", "teacher", "pseudo labels per fold"]
    return [Text("", heading="What each round did"), Table(columns, rows, text_columns=columns)]


def _row(results: Results, stage: Round) -> list[str]:
    wanted = results.settings["rounds"][stage.number]
    settings = ", ".join(f"{key} {value}" for key, value in wanted["train"].items())
    return [
        str(stage.number), listed(list(stage.models)), settings or "the models' own", _starts(stage),
        _teacher(results, stage), _labelled(results, stage),
    ]  # fmt: skip


def _starts(stage: Round) -> str:
    """Rounds and models whose weights a round starts from."""
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
    return f"{listed(list(stage.teachers))} of round {stage.taught_by}, at least {wanted['threshold']:g}{weight}"


def _labelled(results: Results, stage: Round) -> str:
    numbers = [len(table) for (number, _), table in results.pseudo.items() if number == stage.number]
    if not numbers:
        return "–"
    least, most = min(numbers), max(numbers)
    return count(most, "image") if least == most else f"{least:,} to {count(most, 'image')}"
