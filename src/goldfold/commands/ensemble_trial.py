"""Try the metric and the steps of the ensemble on made-up predictions before any job runs."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from goldfold.base.errors import ConfigError, GoldfoldError
from goldfold.commands.augmentation_trial import failed
from goldfold.commands.made_predictions import N_CASES, TASKS, Made, made_up
from goldfold.components import Written, parse
from goldfold.ensembling.members import of_members
from goldfold.ensembling.steps import FittedStep, build
from goldfold.ensembling.with_metadata import without
from goldfold.tasks import facts
from goldfold.tasks.steps import ForSteps

N_FOLDS = 3
"""Folds of the made-up cases that a step is fitted on."""


def check_ensemble(model: Mapping[str, Any], n_classes: int) -> None:
    """Score made-up predictions, fuse them, and fit the steps of the ensemble.

    Components of goldfold without parameters cannot fail, and are not tried by themselves.

    Args:
        model: ``task``, ``metric``, ``method`` and ``steps``, see `goldfold.config.tried.after_prediction`.

    Raises:
        ConfigError: a metric, a method or a step fails.
    """
    if model["task"] not in TASKS:
        return
    made = made_up(model["task"], n_classes)
    task = ForSteps({"name": model["task"]}, made.classes)
    if _may_fail(model.get("metric")):
        _try("metric", model["metric"], lambda: _score(task, made, model["metric"]))
    if _may_fail(model.get("method")):
        _try("ensemble.method", model["method"], lambda: _fuse(task, made, model["method"]))
    for step in model.get("steps") or ():
        _try("ensemble", step, lambda step=step: _fit(task, made, step, model.get("metric")))  # type: ignore[misc]


def _may_fail(written: Written | None) -> bool:
    """Return whether a component has parameters, or is user-defined."""
    if written is None:
        return False
    name, params = parse(written)
    return bool(params) or ":" in name


def _try(key: str, written: Written, work: Callable[[], None]) -> None:
    """Raise ConfigError, which names the key, if ``work`` fails."""
    try:
        work()
    except GoldfoldError as error:
        raise failed(key, written, ConfigError(str(error).removeprefix(f"{key.partition('.')[0]}: "))) from error
    except Exception as error:
        raise failed(key, written, error) from error


def _score(task: ForSteps, made: Made, metric: Written) -> None:
    evidence = made.evidence if made.evidence is not None else task.evidence(made.members[0], made.truth)
    task.metric(metric).value(evidence, np.arange(N_CASES))


def _fuse(task: ForSteps, made: Made, method: Written) -> None:
    fused = of_members(task, made.members, [1.0, 2.0], {"method": method}, 1)
    if any(key.startswith("maps/") for key in fused):  # maps are fused on access
        fused["maps/0"]


def _fit(task: ForSteps, made: Made, step: Written, metric: Written | None) -> None:
    """Build a step, try its metric and method, and fit it if it fuses the members, whose predictions are all that it needs."""
    name, params = parse(step)
    (one,) = build(task, [without(step)], 1)  # made-up cases have no metadata
    if _may_fail(params.get("metric")):
        _score(task, made, params["metric"])
    if _may_fail(params.get("method")):
        _fuse(task, made, params["method"])
    if isinstance(one, FittedStep) and name in task.fusions:
        chosen = task.metric(metric or next(iter(facts(made.task).metrics)))
        folds = np.arange(N_CASES) * N_FOLDS // N_CASES  # each with all classes, which a stack learns from
        one.fit(dict(zip("ab", made.members, strict=True)), made.truth, folds, chosen)
