"""Targets, batches and loss of a training: those of its task, or with a teacher besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goldfold import catalog, components

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from goldfold.engine.gradient import Loss
    from goldfold.tasks.protocol import Learn, Target
    from goldfold.training.spec import Spec


@dataclass(frozen=True)
class Lesson:
    """The parts of a training that a teacher changes."""

    target: Target
    learn: Learn
    loss: Loss


@dataclass(frozen=True)
class Teachers:
    """Predictions of the training images of a fold by the teachers of a run."""

    files: Sequence[str]
    """.../<model>/round<r>/fold<k>/seed<s>/<part>.npz: of each teacher, all parts of the images."""
    fusion: Mapping[str, Any] | None = None
    """``weights`` of the models by name and ``settings`` of the fusion, if the teacher is an ensemble."""


def taught(
    plain: Lesson, spec: Spec, task: Mapping[str, Any], classes: Sequence[str], ids: Sequence[str], teachers: Teachers
) -> Lesson:
    """Add the teacher of a run to its training; without one, the training is returned as it is.

    Args:
        ids: training cases.
    """
    if spec.train.distill is None:
        return plain
    # named in the catalog alone: trainings without a teacher do not depend on its code
    found: Lesson = components.at(catalog.STUDENT, "distillation")(plain, spec, task, classes, ids, teachers)
    return found
