"""Soups and snapshots in the report: their ingredients, and the bias of those chosen on the validation fold."""

from collections.abc import Iterator, Sequence
from typing import Any

from goldfold.drawing.blocks import Table, Text
from goldfold.drawing.words import listed, score
from goldfold.report.results import Results


def blocks(results: Results) -> list[Text | Table]:
    """Tables of the snapshots and of the ingredients of each soup; empty without either."""
    return [*_snapshots(results), *_soups(results)]


def _snapshots(results: Results) -> list[Text | Table]:
    """Table of the snapshots: whose weights they are, and from when."""
    found = {run.model: run.record["snapshot"] for run in results.made if run.record.get("snapshot")}
    if not found:
        return []
    text = (
        "A snapshot is a model's network at the end of a cycle of its learning rate, where the rate is smallest; it costs no "
        "training of its own. The last cycle ends with the model itself (Huang et al. 2017, Snapshot ensembles)."
    )
    rows = []
    for name, one in found.items():
        model = str(one["of"]).split("/")[0]
        n_cycles = next(own for own in results.settings["models"] if own["name"] == model)["train"]["snapshots"]
        rows.append([name, model, f"{one['number']} of {n_cycles}"])
    columns = ["snapshot", "network of", "at the end of cycle"]
    return [Text(text, heading="Snapshots"), Table(columns, rows, text_columns=columns)]


def _soups(results: Results) -> list[Text | Table]:
    rows = [row for run in results.made for row in _rows(run.model, run.round, run.fold, run.record.get("soup"))]
    if not rows:
        return []
    columns = ["soup", "round", "fold", "select", "averaged", "left out"]
    text = (
        "A soup is one network whose weights are the mean of those of its ingredients, per fold (Wortsman et al. 2022, Model "
        "soups); it predicts at the cost of one. Scores, where ingredients were "
        "chosen by them, are those of the networks on the validation images of the fold."
    )
    return [Text(text, heading="Soups"), Table(columns, rows, text_columns=["soup", "select", "averaged", "left out"])]


def _rows(model: str, number: int, fold: int, soup: dict[str, Any] | None) -> Iterator[list[str]]:
    """The row of a soup in a fold; none for a snapshot."""
    if soup is not None:
        parts = [[one for one in soup["ingredients"] if one["used"] is used] for used in (True, False)]
        yield [model, str(number), str(fold), soup["select"], *(_named(of) or "–" for of in parts)]


def _named(ingredients: Sequence[dict[str, Any]]) -> str:
    """Ingredients by model and round, without their fold, which is that of the soup: seeds and scores."""
    found: dict[str, list[str]] = {}
    for one in ingredients:
        model, number, _, seed = one["run"].split("/")
        known = f" ({score(one['score'])})" if "score" in one else ""
        place = f"{model}, round {number.removeprefix('round')}"
        found.setdefault(place, []).append(f"seed {seed.removeprefix('seed')}{known}")
    return "; ".join(f"{place}: {listed(seeds)}" for place, seeds in found.items())
