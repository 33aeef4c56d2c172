"""Checks of how training samples are drawn and mixed."""

from collections.abc import Iterator
from typing import Any

from goldfold.base.errors import nearest, shown
from goldfold.catalog import SAMPLERS, TASKS
from goldfold.components import name_of
from goldfold.config import kinds
from goldfold.config.component_checks import as_written, component_problems
from goldfold.config.models import Model
from goldfold.config.root import Config
from goldfold.planning.outputs import CLASS, GROUP
from goldfold.tasks import facts
from goldfold.tasks.facts import Facts

LACKS = {
    "value": "a number has no share of the pixels",
    "mask": "a pixel has one class, not a blend",
}
"""Why a kind of target cannot be mixed in every way."""


def sample_problems(model: Model, config: Config, task: Facts) -> Iterator[str]:
    """Problems of `train.mix` with its short forms, and of `train.sampler`."""
    for written in model.train.every_mix:
        yield from _mix(written, model, config, task)
    yield from component_problems("train.sampler", model.train.sampler, kinds.SAMPLER, SAMPLERS)
    by, known = model.train.sampled_by, [CLASS, *_columns(config)]
    if by is not None and by not in known:
        way = "" if GROUP in known else "; groups come from data.groups, data.group_column or data.group_level"
        yield (
            f"train.sampler = {shown(model.train.sampler)}: by = {shown(by)}: {nearest(by, known)}there are: "
            f"{', '.join(known)} (list columns under data.metadata.categorical{way})"
        )


def _columns(config: Config) -> list[str]:
    """Columns that samplers can use."""
    metadata = getattr(config.data, "metadata", None)
    return [*[GROUP] * config.data.has_groups, *(metadata.categorical if metadata else [])]


def _mix(written: Any, model: Model, config: Config, task: Facts) -> Iterator[str]:
    """Problems of a way of mixing."""
    name, short = name_of(written), f"{name_of(written)}_alpha"
    is_short = written not in model.train.mix
    key = f"train.{as_written(written, model.train)}"
    able = [other for other in TASKS if name in facts(other).mixes]
    if able and name not in task.mixes:
        reason = f" ({LACKS[task.target]})" if task.target in LACKS and config.task in TASKS else ""
        allowed = ", ".join([*task.mixes, "package.module:function"])
        yield (
            f"{key}: task {config.task!r} cannot use {name}{reason}; these tasks can: {', '.join(able)}. Allowed with "
            f"{config.task}: {allowed}"
        )
        return
    yield from component_problems("train.mix", written, kinds.MIX, task.mixes, config.task)
    if model.branch is not None and name in task.mixes:
        yield (
            f"{key}: metadata of two cases cannot be mixed; remove {short if is_short else name} for this model, or set "
            f"metadata: false"
        )
