"""Warning of ensemble steps that overfit the images they were fitted on, with settings that make them simpler."""

from collections.abc import Iterator, Sequence
from typing import Any

from goldfold import components
from goldfold.drawing.blocks import Note
from goldfold.drawing.words import score
from goldfold.ensembling.linear import PENALTIES
from goldfold.report import fits
from goldfold.report.results import Results

AVERAGE = "average"
STEPS, FEWER_STEPS = 50, 10
"""Steps of hill climbing by default, and most that are advised."""


def notes(results: Results) -> Iterator[Note]:
    """Warn of fitted steps whose optimistic score is outside the interval of the nested one."""
    honest, flattered = results.metrics["oof"][results.metric], results.optimistic
    if flattered is None or None in (flattered["value"], honest["low"], honest["high"]):
        return
    if not honest["low"] <= flattered["value"] <= honest["high"]:
        text = (
            f"Fitted and scored on the same {results.row}s, they give {score(flattered['value'])}; fitted without each "
            f"{results.row}'s fold, {score(honest['value'])}. The first lies outside the interval of the second.{advice(results)}"
        )
        yield Note("warn", "The fitted steps of the ensemble generalise poorly", text)


def advice(results: Results) -> str:
    """One sentence with the settings that make the fitted steps simpler, the plain average last."""
    steps = [one["step"] for one in results.steps if one["fitted"] is not None]
    found = list(filter(None, (_simpler(step, results) for step in steps)))
    if components.name_of(results.steps[0]["step"]) != AVERAGE:
        found.append("the plain average (ensemble: [average])")
    return f" Simpler steps may generalise better: {'; or '.join(found)}." if found else ""


def _simpler(step: components.Written, results: Results) -> str:
    """Setting of a step that makes it simpler; empty if it has none."""
    name, params = components.parse(step)
    if name == "stacking":
        return _larger_penalty(params.get("penalty"), results)
    if name == "hill_climbing":
        fewer = min(FEWER_STEPS, max(params.get("steps", STEPS) // 2, 1))
        return f"fewer steps of hill climbing ({{hill_climbing: {{steps: {fewer}}}}})"
    if name == "fitted_fusion" and params.get("weights") not in (1, [1]):
        return "equal weights of the members ({fitted_fusion: {weights: [1]}})"
    if name == "boosted_stacking":
        return "smaller trees (boosted_stacking: depth: 2, trees: 20), or a linear stack (stacking)"
    if name == "thresholds" and params.get("per_class", True):
        return "one threshold for all classes ({thresholds: {per_class: false}})"
    if name in ("components", "instances") and params.get("per_class", True):
        return f"one setting for all classes ({{{name}: {{per_class: false}}}})"
    return ""


def _larger_penalty(given: float | None, results: Results) -> str:
    """Ten times the largest penalty that was fitted or given."""
    used: Sequence[Any] = [value for one in fits.parameters(results) if one.title == "penalty" for value in one.values]
    penalty = 10 * max([given or PENALTIES[0], *used])
    return f"a larger penalty of the stack ({{stacking: {{penalty: {penalty:g}}}}})"
