"""Checks of heads on frozen backbones: the task, the network, the head, and what asks heads for something they lack."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from goldfold.base.errors import ConfigError
from goldfold.catalog import HEADS, TASKS
from goldfold.components import Written, load, name_of, parse
from goldfold.config import kinds
from goldfold.config.aggregation_checks import aggregation_problems
from goldfold.config.component_checks import component_problems
from goldfold.config.frozen import CLIP, ZERO_SHOT
from goldfold.config.head_checks import head_problems
from goldfold.config.model_checks import image_problems, network_problems
from goldfold.config.models import Model
from goldfold.config.root import Config
from goldfold.config.row_checks import frozen_row_problems
from goldfold.config.views import view_problems
from goldfold.planning.lessons import ENSEMBLE
from goldfold.tasks import facts
from goldfold.tasks.facts import Facts


def check_frozen(config: Config, task: Facts) -> Iterator[str]:
    """Problems of models with `frozen`, and of rounds and students that take them for trained networks."""
    heads = [(index, model) for index, model in enumerate(config.models) if model.frozen is not None]
    for index, model in heads:
        key = f"models[{index}] ({model.name})"
        yield from (f"{key}.{problem}" for problem in _model(model, config, task))
    yield from frozen_row_problems(config)
    yield from _rounds(config, [model.name for _, model in heads])
    yield from _students(config, [model.name for _, model in heads])


def _model(model: Model, config: Config, task: Facts) -> Iterator[str]:
    """Problems of one head."""
    if model.frozen is None:
        return
    if config.task not in TASKS or task.target not in HEADS:
        able = ", ".join(name for name in TASKS if facts(name).target in HEADS)
        yield f"frozen: task {config.task!r} has no heads on embeddings; remove it (these tasks have: {able})"
        return
    yield from network_problems(model, task)
    yield from head_problems(model, task, config.data.channels)
    yield from aggregation_problems(model, config, task)
    yield from image_problems(model, model.frozen.views, "frozen.views")
    unfit = list(component_problems("frozen.head", model.frozen.head, kinds.HEAD, HEADS[task.target], config.task))
    yield from unfit or _range(model.frozen.head, task)
    yield from _zero_shot(model, config.data.named_classes)
    for number, view in enumerate(model.frozen.views):
        yield from view_problems(f"frozen.views[{number}]", view, task, config.task)


def _range(head: Written, task: Facts) -> Iterator[str]:
    """Problem of the range of a parameter, which the head itself finds; one that needs the classes is checked apart."""
    if name_of(head) == ZERO_SHOT:
        return
    try:
        load(head, HEADS[task.target], "head")(task.target, 2)
    except ConfigError as error:
        yield f"frozen.head: {error}"


def _zero_shot(model: Model, classes: Sequence[str] | None) -> Iterator[str]:
    """Problems of a head that compares images with texts.

    Args:
        classes: names of the classes; None if only the data name them, and the job of the head checks the names of `prompts`.
    """
    if model.frozen is None or name_of(model.frozen.head) != ZERO_SHOT:
        return
    yield from _texts(parse(model.frozen.head)[1], classes)
    if name_of(model.network) != CLIP:
        yield (
            f"frozen.head = {ZERO_SHOT!r}: network {name_of(model.network)!r} has no text tower; set network: {CLIP} and params: "
            f"{{checkpoint: ...}}"
        )
    elif model.pretrained is not True:
        yield f"frozen.head = {ZERO_SHOT!r}: compares images with texts by the weights of the checkpoint; set pretrained: true"


def _texts(params: Mapping[str, Any], classes: Sequence[str] | None) -> Iterator[str]:
    """Problems of the templates, prompts and scale of such a head, if these have the right types."""
    from goldfold.heads.zero_shot import TEMPLATES, every_prompt, refuse_scale

    templates, prompts, scale = params.get("templates", TEMPLATES), params.get("prompts") or {}, params.get("scale")
    if not isinstance(prompts, dict) or not isinstance(templates, str | list | tuple):
        return
    try:
        every_prompt(list(prompts) if classes is None else classes, templates, prompts)
        refuse_scale(scale if isinstance(scale, int | float) else None)
    except ConfigError as error:
        yield f"frozen.head: {error}"


def _rounds(config: Config, heads: list[str]) -> Iterator[str]:
    """Heads in rounds other than the first, and heads that the first leaves out."""
    for number, one in enumerate(config.rounds or []):
        listed = one.models
        for name in heads:
            if number and listed is not None and name in listed:
                yield (
                    f"rounds[{number}].models: {name} is a head on a frozen backbone, which is fitted in the first round and "
                    f"votes in all; remove it from this round"
                )
            if number == 0 and listed is not None and name not in listed:
                yield f"rounds[0].models: lacks the head {name}, which is fitted in the first round alone; add it"


def _students(config: Config, heads: list[str]) -> Iterator[str]:
    """Students of heads: these predict no training images of their own fold."""
    weighted = {*config.weighted}
    for (name, number), teacher in config.lessons.wanted.items() if heads else ():
        found = [head for head in heads if teacher == head or (teacher == ENSEMBLE and head in weighted)]
        for head in found[:1]:
            way = (
                "give it weight 0 in the ensemble, or name a trained model"
                if teacher == ENSEMBLE
                else "name a trained model"
            )
            yield (
                f"models ({name}).train.distill.teacher = {teacher!r}: in round {number} its teacher includes {head}, a head on "
                f"a frozen backbone, which does not teach by distillation; {way}"
            )
