"""Checks of the steps of the ensemble: their order, and whether they can serve the task."""

from collections.abc import Iterator
from typing import Any

from goldfold import components, tasks
from goldfold.base.errors import ConfigError, cause, shown
from goldfold.catalog import TASKS
from goldfold.components import name_of, parse
from goldfold.config import kinds, slices
from goldfold.config.root import Averaging, Config
from goldfold.ensembling.steps import entries, fusions
from goldfold.tasks.facts import Facts


def average_key(config: Config) -> str:
    """Where the average's keys stand in the config: ``ensemble``, or the step ``ensemble[0].average``."""
    steps = config.ensemble if isinstance(config.ensemble, list) else []
    return next(
        (f"ensemble[{place}].average" for place, step in enumerate(steps) if isinstance(step, Averaging)), "ensemble"
    )


def check_steps(config: Config, task: Facts) -> Iterator[str]:
    """Say what is wrong with the steps of the ensemble, where they are a list."""
    if not isinstance(config.ensemble, list):
        return
    yield from _order(config, task)
    for place, step in enumerate(config.written_steps):
        key = f"ensemble[{place}]"
        found = [*components.problems(step, kinds.STEP, entries(task))] or [
            *_own(step),
            *_parameters(step, config, task),
        ]
        for problem in found:
            yield f"{key} = {shown(step)}: {problem.replace('allowed: ', f'allowed with {config.task}: ', 1)}"


def _order(config: Config, task: Facts) -> Iterator[str]:
    """One step makes one prediction of the members', the first; no other step stands twice."""
    names = [name_of(step) for step in config.written_steps]
    first, fusing = names[0], fusions(task)
    for place, name in enumerate(names[1:], start=1):
        key = f"ensemble[{place}] = {name!r}"
        if name in fusing and (first in fusing or ":" in first):
            yield f"{key}: ensemble[0], {first!r}, makes one prediction of the members' already; remove one of the two"
        elif name in fusing:
            yield f"{key}: stands after {first!r}, which works on one prediction; put the average first"
        elif name in names[:place]:
            yield f"{key}: stands there twice; remove one"


def _own(step: components.Written) -> Iterator[str]:
    """A step of the user's own is loaded now: after a night of training it would be late to find that it is none."""
    if ":" not in name_of(step):
        return
    try:
        found = components.at(name_of(step), f"ensemble step {name_of(step)!r}")
    except ConfigError as error:
        yield str(error)
        return
    if not hasattr(found, "apply"):
        yield "has no apply(members, fitted); see docs/extending.md"


def _parameters(step: components.Written, config: Config, task: Facts) -> Iterator[str]:
    """Parameters that are components themselves, and what a step asks of task and metric."""
    name, params = parse(step)
    found = []
    for key, known, kind in (("metric", task.metrics, kinds.METRICS), ("method", task.methods, kinds.METHODS)):
        if ":" not in name and params.get(key) is not None:
            called = kind.get(task.target, kinds.OPEN) if config.task in TASKS else kinds.OPEN
            found += [f"{key} {shown(params[key])}: {one}" for one in components.problems(params[key], called, known)]
    yield from found or (_thresholds(params, config, task) if name == "thresholds" else ())


def _thresholds(params: dict[str, Any], config: Config, task: Facts) -> Iterator[str]:
    if not isinstance(params.get("per_class", True), bool):
        yield f"per_class = {shown(params['per_class'])}: must be true or false"
    if "threshold" in config.task_params:
        yield "task_params.threshold has no part where thresholds are fitted; remove one of the two"
    written = params.get("metric") or config.metric or next(iter(task.metrics))
    try:
        if not _decides(config, written):
            allowed = ", ".join(name for name in task.metrics if _decides(config, name))
            yield (
                f"metric {components.label(written)!r} does not depend on thresholds, so none can be fitted for it; write "
                f"{{thresholds: {{metric: ...}}}} with one of {allowed}, or remove the step"
            )
        if classes := config.data.named_classes:
            tasks.decided(slices.late_task(config), classes)
    except ConfigError as error:
        yield str(error)


def _decides(config: Config, metric: components.Written) -> bool:
    """Whether a metric looks at decisions. It is loaded for this, one of the user's own too."""
    if tasks.facts(config.task).scores_decisions_alone:
        return True
    try:
        scores = tasks.score(slices.late_task(config), config.data.named_classes or [])
    except (TypeError, IndexError) as error:
        raise ConfigError(f"task {config.task!r} cannot be made with these settings: {cause(error)}") from error
    return scores.metric(metric).of_labels
