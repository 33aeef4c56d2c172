"""Checks of generated training images."""

from collections.abc import Iterator

from goldfold.catalog import GENERATORS, TASKS
from goldfold.config import kinds
from goldfold.config.component_checks import component_problems
from goldfold.config.learning import Model
from goldfold.config.root import Config
from goldfold.tasks import facts
from goldfold.tasks.facts import Facts


def generated_problems(model: Model, config: Config, task: Facts) -> Iterator[str]:
    """Problems of `train.generated` of a model."""
    how = model.train.generated
    if how is None:
        return
    if config.task not in TASKS or task.target not in GENERATORS:
        able = ", ".join(other for other in TASKS if facts(other).target in GENERATORS)
        yield f"train.generated: task {config.task!r} has no generated images yet; these tasks have: {able}. Remove it"
        return
    yield from component_problems("train.generated.generator", how.generator, kinds.GENERATOR, GENERATORS[task.target])
    if config.data.has_cases:
        yield "train.generated: cases of several images cannot be generated; remove it"
    if model.branch is not None:
        yield "train.generated: generated images have no metadata; set metadata: false for this model, or remove generated"
    if model.train.distill is not None:
        yield "train.generated: a teacher predicts no generated images; remove distill or generated"
