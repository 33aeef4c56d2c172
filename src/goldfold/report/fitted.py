"""Fitted steps of the ensemble: their parameters, and the nested score after each step."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from goldfold import components
from goldfold.drawing.blocks import Block, Table, Text
from goldfold.drawing.calibration import reliabilities
from goldfold.drawing.words import score
from goldfold.ensembling.columns import FIELDS, is_of_numbers, is_of_sets
from goldfold.ensembling.nested import applied
from goldfold.ensembling.sets import KEEP_SCORES
from goldfold.ensembling.steps import average, build
from goldfold.metrics import Evidence
from goldfold.metrics.calibration import Bins, binned
from goldfold.predictions.arrays import picked
from goldfold.report import fits, stacked
from goldfold.report.results import Results

CALIBRATES = "temperature"
LOG_LOSS = "log_loss"


def blocks(results: Results) -> list[Block]:
    """Parameters of each fitted step and the score after each step; empty if nothing was fitted."""
    if not any(one["fitted"] is not None for one in results.steps):
        return []
    return [*fits.blocks(results), *stacked.blocks(results), *_after_each_step(results)]


def _after_each_step(results: Results) -> list[Block]:
    """Table of the scores after each step, and reliability diagrams before and after a temperature."""
    found = stages(results)
    if len(found) < 2:
        return []
    metrics = {results.metric: results.chosen_metric}
    if LOG_LOSS in results.facts.reported and not is_of_numbers(next(iter(found.values()))):
        metrics.setdefault(LOG_LOSS, results.scores.metric(LOG_LOSS))
    bins = {name: calibration(evidence) for name, evidence in found.items()}
    rows = [
        [
            f"after {name}",
            *(score(metric.value(evidence, np.arange(len(evidence)))) for metric in metrics.values()),
            *([score(known.error)] if (known := bins[name]) is not None else []),
        ]
        for name, evidence in found.items()
    ]
    has_bins = all(one is not None for one in bins.values())
    columns = ["", *metrics, *["calibration error"] * has_bins]
    text = "Nested out-of-fold scores: no parameter was fitted on the fold that it is scored on."
    if has_bins:
        text += (
            " The expected calibration error is the mean difference between confidence and share of correct decisions, over "
            "15 bins; smaller is better."
        )
    if results.optimistic is not None:
        unknown = ["–"] * (len(columns) - 2)
        rows.append(["fitted on the scored images (optimistic)", score(results.optimistic["value"]), *unknown])
    drawn = _reliabilities(results, {name: one for name, one in bins.items() if one is not None})
    return [Text(text, heading="Score after each step"), Table(columns, rows, text_columns=[""]), *drawn]


def _reliabilities(results: Results, bins: Mapping[str, Bins]) -> list[Block]:
    """Diagrams before and after a temperature; empty without one."""
    names = [*bins]
    last = next((at for at, name in enumerate(names) if name.startswith(CALIBRATES)), 0)
    return (
        []
        if not last
        else [
            reliabilities({f"before {names[last]}": bins[names[last - 1]], f"after {names[last]}": bins[names[last]]})
        ]
    )


def calibration(evidence: Evidence) -> Bins | None:
    """Calibration of the decisions by probability; None for predictions that are numbers."""
    if is_of_numbers(evidence):
        return None
    found: Any = evidence
    p = np.asarray(found.probabilities, dtype=float)
    if is_of_sets(evidence):
        return binned(np.maximum(p, 1 - p).ravel(), ((p >= 0.5) == (found.truth == 1)).ravel())
    p, chosen = p / p.sum(axis=1, keepdims=True), found.chosen
    return binned(p[np.arange(len(p)), chosen], chosen == found.labels)


def stages(results: Results) -> dict[str, Evidence]:
    """Evidence after each step, nested: for each fold the steps have the parameters fitted on the other folds.

    Empty if a member's predictions are no longer on disk, nothing was fitted, or predictions are masks or boxes.
    """
    weights, truth = results.ensemble["weights"], results.truth
    if not results.without_fold or not set(weights) <= set(results.members):
        return {}
    if not any(hasattr(results.evidence, name) for name in FIELDS):
        return {}
    members = {name: results.joined(name) for name in weights}
    cases = stacked.cases_of(results)
    if cases.lack(results):
        return {}
    steps = build(cases.task(results), _written(results), 1)
    found = {}
    for n, one in enumerate(results.steps, start=1):
        if components.name_of(one["step"]) in KEEP_SCORES:
            continue
        parts = [
            (applied(steps[:n], members, results.without_fold[fold][:n]), of["id"].tolist())
            for fold, of in truth.groupby(truth["fold"].astype(int))
        ]
        name = components.label(one["step"])
        found[name if name not in found else f"{name} ({n})"] = results.scores.evidence(picked(parts), truth)
    return found


def _written(results: Results) -> list[components.Written]:
    """Steps as in the config; an average with given weights, whose file only has its name, with these."""
    first, *rest = results.steps
    if first["fitted"] is None and components.name_of(first["step"]) == "average":
        first = {"step": average({"method": results.ensemble["method"]}, results.ensemble["weights"])}
    return [first["step"], *(one["step"] for one in rest)]
