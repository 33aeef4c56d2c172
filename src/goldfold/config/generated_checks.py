"""Checks of generated training images."""

from collections.abc import Iterator

from goldfold.catalog import GENERATORS
from goldfold.config import kinds
from goldfold.config.component_checks import component_problems
from goldfold.config.models import Model
from goldfold.config.of_tasks import unless_known
from goldfold.config.root import Config
from goldfold.tasks.facts import Facts


def generated_problems(model: Model, config: Config, task: Facts) -> Iterator[str]:
    """Problems of `train.generated` of a model."""
    how = model.train.generated
    if how is None:
        return
    if said := unless_known("train.generated", config.task, GENERATORS, "has no generated images yet", "have"):
        yield said
        return
    yield from component_problems("train.generated.generator", how.generator, kinds.GENERATOR, GENERATORS[task.target])
    if config.data.has_cases:
        yield "train.generated: cases of several images cannot be generated; remove it"
    if model.branch is not None:
        yield "train.generated: generated images have no metadata; set metadata: false for this model, or remove generated"
    if model.train.distill is not None:
        yield "train.generated: a teacher predicts no generated images; remove distill or generated"
