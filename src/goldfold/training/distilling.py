"""Distillation: a training whose samples also carry the predictions of a teacher (Hinton et al. 2015)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from goldfold import catalog, components, tasks
from goldfold.base.errors import ConfigError
from goldfold.ensembling.members import of_folds, of_members
from goldfold.losses import Losses
from goldfold.losses.distillation import similarity
from goldfold.models.features import Heard
from goldfold.planning.runs import Run, run_of
from goldfold.predictions.arrays import Arrays, load, rows_of
from goldfold.predictions.of_fold import load_of_fold
from goldfold.tasks.optional import scale_of
from goldfold.training.lesson import Lesson, Teachers
from goldfold.training.with_fields import Around, LearnWith, TargetWith

if TYPE_CHECKING:
    from goldfold.cases import Batch
    from goldfold.engine.gradient import Loss
    from goldfold.tasks.protocol import Learn
    from goldfold.training.spec import Spec

OWN, TEACHER, FEATURES = LearnWith.OWN, "teacher", "features"
"""Parts of a batch's targets; the last two are also fields of a sample, mixed like a target."""
Criterion = Callable[[Tensor, Tensor], Tensor]
"""(outputs, rows of the teacher) -> (batch,)."""


def distilled(
    plain: Lesson, spec: Spec, task: Mapping[str, Any], classes: Sequence[str], ids: Sequence[str], teachers: Teachers
) -> Lesson:
    """Add the predictions of a teacher to the samples of a training and to its loss, see `goldfold.training.lesson.taught`.

    Raises:
        DataError: a prediction is of another fold, or an image has none.
    """
    how: Mapping[str, Any] = spec.train.distill or {}
    criterion = _criterion(spec, plain.learn, how.get("temperature"))
    fused = fuse(tasks.output(task, classes), teachers, spec.place["fold"])
    values = fused["values" if "values" in fused else "probabilities"]
    rows = criterion.rows(values[rows_of(fused, list(ids))])
    fields: dict[str, NDArray[Any]] = {TEACHER: rows}
    if wanted := how.get("features", 0.0):
        fields[FEATURES] = features(teachers, ids)
    print(f"learns from {how['teacher']} with weight {how['weight']:g}", flush=True)
    loss = loss_with(plain.loss, criterion, how["weight"], wanted)
    return Lesson(TargetWith(plain.target, fields), LearnWith(plain.learn, [*fields]), loss)


def _criterion(spec: Spec, learn: Learn, temperature: float | None) -> Any:
    """Build the loss against the teacher for the kind of target."""
    kind = components.at(catalog.DISTILLATIONS[spec.model["target"]], "distillation")
    scale = scale_of(learn)
    params = {} if scale is None else {"middle": scale[0], "spread": scale[1]}
    return kind(**params, **({} if temperature is None else {"temperature": temperature}))


def fuse(output: Any, teachers: Teachers, fold: int) -> Arrays:
    """Fuse the predictions of the teachers: as the ensemble does, or the seeds of one model as a plain average.

    Raises:
        DataError: a prediction is of another fold.
    """
    parts: dict[Run, list[Arrays]] = {}
    rule = f"the teachers of a student for fold {fold} must come from its own models"
    for path in teachers.files:
        parts.setdefault(run_of(path), []).append(load_of_fold(path, fold, rule))
    members = [output.join(found) for found in parts.values()]
    if teachers.fusion is None:
        return of_folds(output, members, {}, 1)
    weights = [teachers.fusion["weights"].get(run.model, 1.0) for run in parts]
    return of_members(output, members, weights, teachers.fusion["settings"], 1)


def features(teachers: Teachers, ids: Sequence[str]) -> NDArray[np.float16]:
    """Return the features of the training cases by a teacher, (n, seeds, d).

    Raises:
        ConfigError: its network has none.
    """
    found = [load(path) for path in teachers.files]
    if any(FEATURES not in one for one in found):
        raise ConfigError(
            "train.distill.features: it is not known where the head of the teacher's network begins; give it get_classifier(), "
            "or remove features"
        )
    return np.stack([one[FEATURES][rows_of(one, list(ids))] for one in found], axis=1)


def loss_with(own: Loss, criterion: Criterion, weight: float, of_features: float = 0.0) -> Loss:
    """Return (1 - weight) x the model's own loss + weight x the loss against the teacher, as named parts.

    Weights of samples apply to both; class weights and label smoothing only to the model's own.

    Args:
        of_features: weight of the similarity of features, added to these.
    """

    def loss(model: nn.Module, batch: Batch) -> Losses:
        recorded = Recorded(model)
        with Heard(model) if of_features else nullcontext() as heard:
            losses = own(recorded, replace(batch, targets=batch.targets[OWN]))
        against = weight * (batch.weights * criterion(recorded.output, batch.targets[TEACHER])).mean()
        more = {"distill": against}
        if heard is not None:
            more[FEATURES] = of_features * similarity(heard.features(batch.inputs), batch.targets[FEATURES])
        parts = {name: (1 - weight) * part for name, part in (losses.parts or {OWN: losses.total.detach()}).items()}
        total = (1 - weight) * losses.total + sum(more.values())
        return Losses(total, {**parts, **{name: part.detach() for name, part in more.items()}})

    return loss


class Recorded(Around):
    """A network that keeps its last output, so that two losses share one pass through it."""

    output: Any = None

    def forward(self, *inputs: Any) -> Any:
        """Return the output of the network."""
        self.output = self.__dict__["network"](*inputs)
        return self.output
