"""Checks of models that embed images, of losses with an angular margin, and of members that predict by neighbours."""

from collections.abc import Iterator, Sequence
from typing import Any

from goldfold.base.errors import nearest, shown
from goldfold.components import name_of, parse, summed
from goldfold.config.models import Model
from goldfold.config.root import Config
from goldfold.planning.lessons import ENSEMBLE

MARGINS = ("arcface", "dynamic_arcface")
"""Losses of scaled cosines."""
SCALE = 30.0
"""Default scale of these losses."""


def embedding_problems(model: Model, task: str) -> Iterator[str]:
    """Problems of the embedding of a trained model, and of its loss with it.

    Args:
        task: name of the task.
    """
    if model.embedding is not None and task != "classification":
        yield f"embedding: task {task!r} has none, which needs one class per image (task: classification); remove it"
        return
    if model.embedding is not None and model.branch is not None:
        yield "embedding: an embedding is made of images alone; remove it, or metadata"
    if model.embedding is not None and model.head is not None and model.head.hidden:
        yield "head.hidden: the embedding takes the place of these layers; remove hidden, and set embedding.width"
    for part, _ in summed(model.train.loss) if model.train.loss is not None and task == "classification" else []:
        name, params = parse(part)
        if name not in MARGINS or ":" in name_of(model.network):
            continue
        if model.embedding is None:
            yield f"train.loss: {name} needs a network that returns cosines; set embedding: {{width: 512}}, or another loss"
        elif (scale := params.get("scale", SCALE)) != model.embedding.scale:
            yield (
                f"train.loss: {name} has scale {_shown(scale)}, but embedding.scale is {_shown(model.embedding.scale)}; set "
                f"both to the same"
            )


def _shown(scale: Any) -> str:
    return f"{scale:g}" if isinstance(scale, int | float) else shown(scale)


def check_neighbours(config: Config) -> Iterator[str]:
    """Problems of members that predict by neighbours, and of models that would learn from them."""
    known = {model.name: model for model in config.models}
    members = [name for name, model in known.items() if model.neighbours is not None]
    for index, model in enumerate(config.models):
        if model.neighbours is not None:
            key = f"models[{index}] ({model.name}).neighbours"
            yield from (f"{key}.{problem}" for problem in _member(config, model, known))
    if members:
        yield from _students(config, members)


def _member(config: Config, model: Model, known: dict[str, Model]) -> Iterator[str]:
    wanted = model.neighbours
    if wanted is None:
        return
    able = [name for name, one in known.items() if one.embedding is not None and not (one.soup or one.neighbours)]
    allowed = f"allowed: {', '.join(able) or 'none, since no model has an embedding'}"
    if wanted.of not in known:
        yield f"of = {wanted.of!r}: no model has this name; {nearest(wanted.of, able)}{allowed}"
    elif wanted.of == model.name or known[wanted.of].soup or known[wanted.of].neighbours:
        yield f"of = {wanted.of!r}: is not trained; {allowed}"
    elif known[wanted.of].embedding is None:
        yield f"of = {wanted.of!r}: has no embedding, in which neighbours are found; set its embedding: {{width: 512}}; {allowed}"
    else:
        yield from _late(config, model.name, wanted.of)
    classes = config.data.named_classes
    if wanted.unknown is not None and classes and wanted.unknown not in classes:
        yield f"unknown = {wanted.unknown!r}: is no class; {nearest(wanted.unknown, classes)}allowed: {', '.join(classes)}"


def _late(config: Config, name: str, of: str) -> Iterator[str]:
    """Rounds that make the member before its model is trained."""
    rounds = config.rounds or []
    for number, one in enumerate(rounds):
        is_made = one.models is None or name in one.models
        if is_made and not any(other.models is None or of in other.models for other in rounds[: number + 1]):
            yield (
                f"of = {of!r}: no round up to {number} trains it, but rounds[{number}] makes {name}; train {of} earlier, or "
                f"list {name} in later rounds only"
            )


def _students(config: Config, members: Sequence[str]) -> Iterator[str]:
    """Models that learn from neighbours of their own training images, each of which is its own nearest neighbour."""
    why = "which finds each training image itself as its nearest neighbour"
    voting = [name for name in members if name in config.weighted]
    for (student, number), teacher in config.lessons.wanted.items():
        if teacher in members:
            yield f"train.distill.teacher = {teacher!r} ({student}, round {number}): predicts by neighbours, {why}; name another"
        elif teacher == ENSEMBLE and voting:
            yield (
                f"train.distill.teacher = {ENSEMBLE!r} ({student}, round {number}): {voting[0]} is part of it, {why}; name a "
                f"model, or set ensemble.weights.{voting[0]}: 0"
            )
    for number, one in enumerate(config.rounds or []):
        if one.start in members:
            yield f"rounds[{number}].start = {one.start!r}: predicts by neighbours and is not trained; start from its model"
