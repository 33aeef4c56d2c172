"""Checks of the steps of the ensemble: their order, and whether they fit the task."""

from collections.abc import Iterator

from goldfold import components, tasks
from goldfold.base.errors import ConfigError, cause, nearest, shown
from goldfold.catalog import OF_MASKS, TASKS
from goldfold.components import name_of, parse
from goldfold.config import kinds, slices, stacked
from goldfold.config.root import Averaging, Config
from goldfold.ensembling.sets import KEEP_SCORES
from goldfold.ensembling.steps import entries, fusions
from goldfold.ensembling.with_metadata import without
from goldfold.tasks.facts import Facts

WITH_RANGES = ("hill_climbing", "stacking", "boosted_stacking", "fitted_fusion", "spacing")
"""Steps that check their parameters when they are built, which needs no task."""

THRESHOLDS, COMPONENTS, INSTANCES, SPACING = "thresholds", "components", "instances", "spacing"
IOUS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""IoU that instance AP can be asked for at."""


def average_key(config: Config) -> str:
    """Path of the average's keys in the config: ``ensemble``, or the step ``ensemble[0].average``."""
    steps = config.ensemble if isinstance(config.ensemble, list) else []
    return next(
        (f"ensemble[{place}].average" for place, step in enumerate(steps) if isinstance(step, Averaging)), "ensemble"
    )


def check_steps(config: Config, task: Facts) -> Iterator[str]:
    """Problems of the steps of the ensemble, if they are a list."""
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
    """Problems of the order: only the first step combines members' predictions, and no step is listed twice."""
    names = [name_of(step) for step in config.written_steps]
    first, fusing = names[0], fusions(task)
    for place, name in enumerate(names[1:], start=1):
        key = f"ensemble[{place}] = {name!r}"
        if name in fusing and (first in fusing or ":" in first):
            yield f"{key}: ensemble[0], {first!r}, already combines the members' predictions; remove one of the two"
        elif name in fusing:
            yield f"{key}: comes after {first!r}, which needs the combined prediction; put the average first"
        elif name in names[:place]:
            yield f"{key}: is listed twice; remove one"
        elif name == THRESHOLDS and COMPONENTS in names[:place]:
            yield f"{key}: decides the masks that {COMPONENTS!r} cleans; put it first"
        elif name == SPACING and THRESHOLDS in names[:place]:
            yield f"{key}: changes the points that {THRESHOLDS!r} decides on; put it first"
        elif name in (THRESHOLDS, COMPONENTS) and INSTANCES in names[:place]:
            yield f"{key}: changes the masks whose objects {INSTANCES!r} separates; put it first"
    for place, name in enumerate(names[:-1]):
        if name in KEEP_SCORES:
            yield (
                f"ensemble[{place}] = {name!r}: is fitted to the final predictions, which {names[-1]!r} changes; put it last"
            )


def _own(step: components.Written) -> Iterator[str]:
    """Problems of a user-defined step, which is loaded here so that errors show before training."""
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
    """Problems of parameters that are components themselves, and of thresholds."""
    name, params = parse(step)
    found = []
    for key, known, kind in (("metric", task.metrics, kinds.METRICS), ("method", task.methods, kinds.METHODS)):
        if ":" not in name and params.get(key) is not None:
            called = kind.get(task.target, kinds.OPEN) if config.task in TASKS else kinds.OPEN
            found += [f"{key} {shown(params[key])}: {one}" for one in components.problems(params[key], called, known)]
    found += stacked.problems(step, config)
    ranges = dict.fromkeys((*WITH_RANGES, *KEEP_SCORES), _range)
    more = {THRESHOLDS: _thresholds, COMPONENTS: _components, INSTANCES: _instances, "unknown": _unknown, **ranges}.get(
        name
    )
    yield from found or (more(step, config, task) if more else ())


def _range(step: components.Written, config: Config, task: Facts) -> Iterator[str]:
    """Problem of the range of a parameter, which the step itself finds."""
    try:
        components.load(without(step), entries(task), "ensemble step")(None, 1)
    except ConfigError as error:
        yield str(error).removeprefix(f"ensemble: {name_of(step)}: ")
    except TypeError as error:
        yield f"a parameter has the wrong type: {cause(error)}"


def _unknown(step: components.Written, config: Config, task: Facts) -> Iterator[str]:
    """Problem of the class that stands for unknown ones, where the config names the classes."""
    label, classes = parse(step)[1].get("label"), config.data.named_classes
    if not isinstance(label, str):
        yield f"label = {shown(label)}: must be the name of a class"
    elif classes and label not in classes:
        yield f"label = {label!r}: is no class; {nearest(label, classes)}classes: {', '.join(classes)}"


def _thresholds(step: components.Written, config: Config, task: Facts) -> Iterator[str]:
    params = parse(step)[1]
    if not isinstance(params.get("per_class", True), bool):
        yield f"per_class = {shown(params['per_class'])}: must be true or false"
    if "threshold" in config.task_params:
        yield "task_params.threshold has no effect if thresholds are fitted; remove one of the two"
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
    yield from _of_counts(step, config, task)


def _of_counts(step: components.Written, config: Config, task: Facts) -> Iterator[str]:
    """Problem of a metric of masks that is no function of counts of pixels, which these steps are fitted by."""
    name, params = parse(step)
    written = params.get("metric") or config.metric or next(iter(task.metrics))
    if task.target == "mask" and name_of(written) in OF_MASKS:
        others = ", ".join(one for one in task.metrics if one not in OF_MASKS)
        yield (
            f"metric {components.label(written)!r} needs the masks, and the step is fitted by counts of pixels; write {{{name}: "
            f"{{metric: ...}}}} with one of {others}"
        )


def _components(step: components.Written, config: Config, task: Facts) -> Iterator[str]:
    yield from _range(step, config, task)
    yield from _of_counts(step, config, task)
    yield from _decided(config)


def _instances(step: components.Written, config: Config, task: Facts) -> Iterator[str]:
    per_class = parse(step)[1].get("per_class", True)
    if not isinstance(per_class, bool):
        yield f"per_class = {shown(per_class)}: must be true or false"
    name, params = parse(metric) if (metric := parse(step)[1].get("metric")) else ("", {})
    if name == "instance_ap" and params.get("iou") is not None and params["iou"] not in IOUS:
        yield f"metric: instance_ap: iou = {shown(params['iou'])}: must be one of 0.5, 0.55, ..., 0.95"
    yield from _range(step, config, task)
    yield from _decided(config)


def _decided(config: Config) -> Iterator[str]:
    """Problem of classes without a background, where the config names them."""
    if classes := config.data.named_classes:
        try:
            tasks.decided(slices.late_task(config), classes)
        except ConfigError as error:
            yield str(error)


def _decides(config: Config, metric: components.Written) -> bool:
    """Return whether a metric depends on decisions; the metric is loaded for this, including user-defined ones."""
    if tasks.facts(config.task).scores_decisions_alone:
        return True
    try:
        scores = tasks.score(slices.late_task(config), config.data.named_classes or [])
    except (TypeError, IndexError) as error:
        raise ConfigError(f"task {config.task!r} cannot be created with these settings: {cause(error)}") from error
    return scores.metric(metric).of_labels
