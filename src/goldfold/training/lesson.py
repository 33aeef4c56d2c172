"""Targets, batches and loss of a training: those of its task, or with a teacher or unlabelled images besides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from goldfold import catalog, components

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from torch import nn

    from goldfold.cache.images import CachedImages
    from goldfold.engine.gradient import Loss
    from goldfold.engine.hooks import Hook
    from goldfold.samples.dataset import More
    from goldfold.tasks.protocol import Learn, Target
    from goldfold.training.spec import Spec


@dataclass(frozen=True)
class Lesson:
    """The parts of a training that a teacher or unlabelled images change."""

    target: Target
    learn: Learn
    loss: Loss
    more: More | None = None
    """Makes further fields of a sample by its place."""
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    """Hooks by name, called after those of the config."""


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


def besides(plain: Lesson, spec: Spec, network: nn.Module, train: pd.DataFrame, lists: Sequence[str]) -> Lesson:
    """Add auxiliary targets to a training, if its config wants any; otherwise it is returned as it is.

    Args:
        network: gets heads for them.
        train: training cases.
        lists: CSVs of id and metadata of all cases.
    """
    if spec.train.auxiliary is None:
        return plain
    # named in the catalog alone, as is `distilled`
    found: Lesson = components.at(catalog.AUXILIARY, "auxiliary targets")(plain, spec, network, train, lists)
    return found


def with_unlabeled(plain: Lesson, spec: Spec, images: CachedImages, lists: Sequence[str]) -> Lesson:
    """Add unlabelled images to a training, if its config wants any; otherwise it is returned as it is.

    Args:
        images: cached images, with the unlabelled ones.
        lists: CSVs of the ids of the unlabelled images.
    """
    if spec.train.fixmatch is None:
        return plain
    # named in the catalog alone, as is `distilled`
    found: Lesson = components.at(catalog.FIXMATCH[spec.model["target"]], "FixMatch")(plain, spec, images, lists)
    return found
