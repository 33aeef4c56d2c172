"""FixMatch: a training whose samples also carry views of unlabelled images (Sohn et al. 2020, algorithm 1)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from goldfold.base.counter import counter
from goldfold.cases import Batch, Inputs
from goldfold.losses import Losses
from goldfold.losses.fixmatch import consistency
from goldfold.planning.outputs import MASK_RATE
from goldfold.samples.dataset import Place, TrainingSet
from goldfold.tables import read_table
from goldfold.training.changes import augment_of
from goldfold.training.labelling import (
    ROW,
    STRONG,
    THERE,
    UNLABELED,
    WEAK,
    InEveryStep,
    Kept,
    Renewal,
    Teacher,
    inputs_of,
)
from goldfold.training.lesson import Lesson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from goldfold.cache.images import CachedImages
    from goldfold.engine.gradient import Loss
    from goldfold.engine.hooks import Hook
    from goldfold.tasks.protocol import Learn
    from goldfold.training.spec import Spec

OWN = "own"
"""Part of a batch's targets: those of the task."""


def matched(plain: Lesson, spec: Spec, images: CachedImages, lists: Sequence[str]) -> Lesson:
    """Add unlabelled images to the samples of a training and to its loss, see `goldfold.training.lesson.with_unlabeled`."""
    how: Mapping[str, Any] = spec.train.fixmatch or {}
    ids = [id for path in lists for id in read_table(path)["id"]]
    print(f"learns from {len(ids)} unlabelled images by FixMatch, {how['mu']} per labelled one", flush=True)
    rule = how["threshold"], how.get("temperature")
    labels: Kept | InEveryStep
    hook: Hook
    if every := how.get("renew_epochs"):
        labels = Kept(len(ids), *rule)
        hook = Renewal(labels, ids, spec, images, every)
    else:
        labels = InEveryStep(*rule)
        hook = Teacher(labels, len(ids), how["ema_teacher"])
    loss, views = FixMatch(plain.loss, how["weight"], labels), Views(ids, spec, plain.learn, images)
    return Lesson(plain.target, _Learn(plain.learn), loss, views, {"fixmatch": hook})


class Views:
    """Callable: place of a labelled sample -> fields with the weak and strong views of its ``mu`` unlabelled images; without
    the weak ones and with the images' numbers, where labels are kept.

    Over a run, the unlabelled images follow each other in passes: each comes once per pass, in an order drawn for it. The
    images of a sample depend on its number in the run alone, and the views on the image and the pass.
    """

    def __init__(self, ids: Sequence[str], spec: Spec, learn: Learn, images: CachedImages) -> None:
        how: Mapping[str, Any] = spec.train.fixmatch or {}
        self.mu, self.key = int(how["mu"]), (*spec.key, UNLABELED)
        self.keeps = bool(how.get("renew_epochs"))
        self.sets = {
            name: _views(ids, spec, learn, images, name) for name in ((STRONG,) if self.keeps else (WEAK, STRONG))
        }
        self.n, self.orders = len(ids), dict[int, "NDArray[np.int64]"]()

    def __call__(self, place: Place) -> dict[str, Any]:
        """Return ``weak`` and ``strong`` (mu, views, height, width, channels) uint8, ``there`` (mu, views), as ``present`` of
        samples, and ``unlabeled_row`` (mu,), where labels are kept."""
        places = self.places(place.number)
        found: dict[str, Any] = {ROW: np.array([one.row for one in places])} if self.keeps else {}
        for name, views in self.sets.items():
            augment = views.augment.at(place.epoch, place.batch)
            made = [views.at(one, augment) for one in places]
            found[name] = np.stack([one["images"] for one in made])
            found[THERE] = np.stack([one["present"] for one in made])
        return found

    def places(self, number: int) -> list[Place]:
        """Return pass, as the epoch, and row of the unlabelled images of the labelled sample with this number."""
        passed = [divmod(place, self.n) for place in range(number * self.mu, (number + 1) * self.mu)]
        return [Place(epoch, int(self._order(epoch)[row])) for epoch, row in passed]

    def _order(self, number: int) -> NDArray[np.int64]:
        """Order of the images in a pass; those of the last two are kept."""
        if number not in self.orders:
            self.orders = {known: order for known, order in self.orders.items() if known == number - 1}
            generator = np.random.default_rng(counter(*self.key, number, "order"))
            self.orders[number] = generator.permutation(self.n)
        return self.orders[number]


def _views(ids: Sequence[str], spec: Spec, learn: Learn, images: CachedImages, name: str) -> TrainingSet:
    """Views of unlabelled images, whose random draws are of a stream of their own."""
    train = replace(spec.train, augment=(spec.train.fixmatch or {})[name])
    augment, targets = augment_of(replace(spec, train=train), learn, images.frame), [dict[str, Any]()] * len(ids)
    return TrainingSet(ids, targets, [1.0] * len(ids), images, augment, (*spec.key, UNLABELED, name))


class FixMatch:
    """Callable: (network, batch) -> own loss on the labelled images + weight x loss on the unlabelled ones.

    Labelled images and strong views go through the network in one pass. The weak views go through it before, without
    gradient, as does all of the batch in the paper's code, where a single pass has all three.
    """

    def __init__(self, own: Loss, weight: float, labels: InEveryStep | Kept) -> None:
        self.own, self.weight, self.labels = own, weight, labels

    def __call__(self, model: nn.Module, batch: Batch) -> Losses:
        """Return the losses of a batch, and the share of its unlabelled images that have a pseudo label."""
        targets, n = batch.targets, len(batch.ids)
        rows, is_used = self.labels(model, targets)
        outputs = model(_joined(batch.inputs, inputs_of(targets[STRONG], targets[THERE])))
        losses = self.own(_Answer(outputs[:n], model.training), replace(batch, targets=targets[OWN]))
        against = self.weight * consistency(outputs[n:], rows, is_used).mean()
        own = losses.parts or {OWN: losses.total.detach()}
        parts = {**own, UNLABELED: against.detach()}
        return Losses(losses.total + against, parts, {**losses.rates, MASK_RATE: is_used.mean()})


class _Learn:
    """Facet `Learn` whose batches also have the views of the unlabelled images."""

    def __init__(self, learn: Learn) -> None:
        self.learn = learn

    def __getattr__(self, name: str) -> Any:
        return getattr(self.learn, name)

    def collate(self, samples: list[dict[str, Any]]) -> Batch:
        """Batch samples; targets are those of the task, and views (batch, mu, views, ...), whose channels are last."""
        batch, names = self.learn.collate(samples), [name for name in (WEAK, STRONG, THERE, ROW) if name in samples[0]]
        fields = {name: torch.from_numpy(np.stack([sample[name] for sample in samples])) for name in names}
        return replace(batch, targets={OWN: batch.targets, **fields})

    def loss(self, **settings: Any) -> Any:
        """Return the task's own loss."""
        return self.learn.loss(**settings)


class _Answer(nn.Module):
    """A network whose output for a batch is known."""

    def __init__(self, output: Tensor, training: bool) -> None:
        super().__init__()
        self.output, self.training = output, training

    def forward(self, *inputs: Any) -> Tensor:
        """Return the output."""
        return self.output


def _joined(first: Inputs, second: Inputs) -> Inputs:
    """Cases of two batches; channels stay last in memory."""
    images = torch.cat([one.images.permute(0, 1, 3, 4, 2) for one in (first, second)]).permute(0, 1, 4, 2, 3)
    return Inputs(images, torch.cat([first.present, second.present]))
