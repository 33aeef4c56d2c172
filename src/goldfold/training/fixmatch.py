"""FixMatch: a training whose samples also carry views of unlabelled images (Sohn et al. 2020, algorithm 1)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from goldfold.base.counter import counter
from goldfold.cases import Batch, Inputs
from goldfold.engine.gradient import TOTAL
from goldfold.engine.hooks import Hook
from goldfold.losses import Losses
from goldfold.losses.fixmatch import consistency, pseudo_labels
from goldfold.planning.outputs import MASK_RATE
from goldfold.samples.dataset import Place, TrainingSet
from goldfold.tables import read_table
from goldfold.training.changes import augment_of
from goldfold.training.lesson import Lesson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from goldfold.cache.images import CachedImages
    from goldfold.engine.gradient import Loss
    from goldfold.engine.state import Training
    from goldfold.tasks.protocol import Learn
    from goldfold.training.spec import Spec

OWN, WEAK, STRONG, THERE = "own", "weak", "strong", "there"
"""Parts of a batch's targets: those of the task, and of the unlabelled images."""
UNLABELED = "unlabeled"
"""Part of the loss, and stream of the random draws of the unlabelled images."""


def matched(plain: Lesson, spec: Spec, images: CachedImages, lists: Sequence[str]) -> Lesson:
    """Add unlabelled images to the samples of a training and to its loss, see `goldfold.training.lesson.with_unlabeled`."""
    how: Mapping[str, Any] = spec.train.fixmatch or {}
    ids = [id for path in lists for id in read_table(path)["id"]]
    print(f"learns from {len(ids)} unlabelled images by FixMatch, {how['mu']} per labelled one", flush=True)
    loss = FixMatch(plain.loss, how["weight"], how["threshold"], how.get("temperature"))
    views = Views(ids, spec, plain.learn, images)
    hook = Teacher(loss, len(ids), how["ema_teacher"])
    return Lesson(plain.target, _Learn(plain.learn), loss, views, {"fixmatch": hook})


class Views:
    """Callable: place of a labelled sample -> fields with the weak and strong views of its ``mu`` unlabelled images.

    Over a run, the unlabelled images follow each other in passes: each comes once per pass, in an order drawn for it. The
    images of a sample depend on its number in the run alone, and the views on the image and the pass.
    """

    def __init__(self, ids: Sequence[str], spec: Spec, learn: Learn, images: CachedImages) -> None:
        how: Mapping[str, Any] = spec.train.fixmatch or {}
        self.mu, self.key = int(how["mu"]), (*spec.key, UNLABELED)
        self.sets = {name: _views(ids, spec, learn, images, name) for name in (WEAK, STRONG)}
        self.n, self.orders = len(ids), dict[int, "NDArray[np.int64]"]()

    def __call__(self, place: Place) -> dict[str, Any]:
        """Return ``weak`` and ``strong`` (mu, views, height, width, channels) uint8, and ``there`` (mu, views), as
        ``present`` of samples."""
        found: dict[str, Any] = {}
        for name, views in self.sets.items():
            augment = views.augment.at(place.epoch, place.batch)
            made = [views.at(one, augment) for one in self.places(place.number)]
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

    def __init__(self, own: Loss, weight: float, threshold: float, temperature: float | None = None) -> None:
        self.own, self.weight, self.threshold, self.temperature = own, weight, threshold, temperature
        self.teacher: nn.Module | None = None
        """Network that predicts the weak views; None for the one that is trained."""

    def __call__(self, model: nn.Module, batch: Batch) -> Losses:
        """Return the losses of a batch, and the share of its unlabelled images that have a pseudo label."""
        unlabeled = {name: _inputs(batch.targets[name], batch.targets[THERE]) for name in (WEAK, STRONG)}
        rows, is_used = self.labels(model, unlabeled[WEAK])
        outputs, n = model(_joined(batch.inputs, unlabeled[STRONG])), len(batch.ids)
        losses = self.own(_Answer(outputs[:n], model.training), replace(batch, targets=batch.targets[OWN]))
        against = self.weight * consistency(outputs[n:], rows, is_used).mean()
        own = losses.parts or {OWN: losses.total.detach()}
        parts = {**own, UNLABELED: against.detach()}
        return Losses(losses.total + against, parts, {**losses.rates, MASK_RATE: is_used.mean()})

    def labels(self, model: nn.Module, weak: Inputs) -> tuple[Tensor, Tensor]:
        """Return the targets of the strong views and the images that are used, see `pseudo_labels`."""
        with torch.no_grad():
            logits = (model if self.teacher is None else self.teacher)(weak)
            return pseudo_labels(logits, self.threshold, self.temperature)


class Teacher(Hook):
    """Gives the loss the averaged weights of the training, where these predict the weak views."""

    def __init__(self, loss: FixMatch, n_images: int, is_averaged: bool) -> None:
        self.loss, self.n_images, self.is_averaged = loss, n_images, is_averaged

    def before_epoch(self, training: Training) -> None:
        """Take the average, which a hook before this one has selected for validation."""
        self.loss.teacher = training.scored.eval() if self.is_averaged else None

    def after_epoch(self, training: Training, scores: Mapping[str, float]) -> None:
        """Log the epoch."""
        last = training.history[-1]
        loss, rate = last[f"{TOTAL}_{UNLABELED}"], last[MASK_RATE]
        print(f"epoch {len(training.history)}: mask rate {rate:.3f}, loss on unlabelled images {loss:.4f}", flush=True)

    def facts(self) -> dict[str, Any]:
        """Return the number of images."""
        return {"images": self.n_images}


class _Learn:
    """Facet `Learn` whose batches also have the views of the unlabelled images."""

    def __init__(self, learn: Learn) -> None:
        self.learn = learn

    def __getattr__(self, name: str) -> Any:
        return getattr(self.learn, name)

    def collate(self, samples: list[dict[str, Any]]) -> Batch:
        """Batch samples; targets are those of the task, and views (batch, mu, views, ...), whose channels are last."""
        batch = self.learn.collate(samples)
        fields = {
            name: torch.from_numpy(np.stack([sample[name] for sample in samples])) for name in (WEAK, STRONG, THERE)
        }
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


def _inputs(images: Tensor, present: Tensor) -> Inputs:
    """Cases from views (batch, mu, views, height, width, channels), channels first in shape and last in memory."""
    return Inputs(images.flatten(0, 1).permute(0, 1, 4, 2, 3), present.flatten(0, 1))


def _joined(first: Inputs, second: Inputs) -> Inputs:
    """Cases of two batches; channels stay last in memory."""
    images = torch.cat([one.images.permute(0, 1, 3, 4, 2) for one in (first, second)]).permute(0, 1, 4, 2, 3)
    return Inputs(images, torch.cat([first.present, second.present]))
