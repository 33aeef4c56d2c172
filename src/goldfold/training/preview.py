"""Samples as training sees them, made from image files without a cache: for contact sheets.

The report's digest leaves this module out: what changes the pixels of samples retrains, and so redraws, anyway.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from goldfold import tasks
from goldfold.base.counter import counter
from goldfold.cache.images import build
from goldfold.cache.tiled import opened
from goldfold.images import cases, depth
from goldfold.samples.mixing import COMMON
from goldfold.samples.transforms import Augment
from goldfold.tasks.optional import compose_params
from goldfold.training import windows
from goldfold.training.changes import augment_of, mixing_of

if TYPE_CHECKING:
    from goldfold.samples.dataset import Crops
    from goldfold.tasks.protocol import Learn
    from goldfold.training.spec import Spec

Fields = Mapping[str, Any]
"""``image`` (height, width, channels) uint8, and the target fields that move with it."""
CACHED = ("id", "path", "sha256", "mask", "mask_sha256", "mask_depth", "roi", cases.CASE, cases.VIEW)
"""Columns of the tables of the manifest that cached images are made from, as far as a table has them."""


@dataclass(frozen=True)
class Preview:
    """One training case: as cached, and augmented as in the first epochs."""

    id: str
    name: str
    """Class, or empty where an image may have several."""
    original: Fields
    augmented: Sequence[Fields]


def previews(
    spec: Spec, task: tasks.Spec, classes: Sequence[str], table: pd.DataFrame, n: int, rule: depth.Rule = depth.DEFAULT
) -> list[Preview]:
    """Preview the cases of some rows of the manifest's training table, ``n`` epochs each.

    The pixels are those of the training of ``spec``, except that samples are mixed with each other only. Of a case of several
    images, the first one is shown.

    Args:
        rule: conversion of 16-bit images to 8 bits.

    Raises:
        DataError: an image can no longer be read.
    """
    target, learn = tasks.target(task, classes), tasks.learn(task, classes)
    listed = cases.as_cached(table)
    listed = listed[[name for name in CACHED if name in listed]]
    with tempfile.TemporaryDirectory() as folder:
        build(listed, Path(folder) / "images", spec.cached, spec.channels, spec.resize)
        images = opened([Path(folder) / "images"], spec.size, spec.resize, rule)
        targets = target.targets(table, images, spec.resize)
        as_shown = Augment("none", "none", images.frame, spec.channels, compose_params(learn), shown=spec.size)
        crops = windows.crops_of(spec, target, table["id"], images, targets)
        samples = _Samples(spec, learn, images, list(table["id"]), targets, crops)
        names = table["label"] if "label" in table else [""] * len(table)
        return [
            Preview(id, str(name), as_shown(samples.plain(row), 0), [samples.at(epoch, row) for epoch in range(n)])
            for row, (id, name) in enumerate(zip(table["id"], names, strict=True))
        ]


class _Samples:
    """Samples by epoch and row, as `goldfold.samples.dataset.TrainingSet` makes them, but without torch."""

    def __init__(
        self,
        spec: Spec,
        learn: Learn,
        images: Any,
        ids: Sequence[str],
        targets: Sequence[dict[str, Any]],
        crops: Crops | None,
    ) -> None:
        """``crops`` draws windows of the images, where networks take these."""
        self.crops, self.images, self.ids, self.targets, self.key = crops, images, ids, targets, spec.key
        self.augment = augment_of(spec, learn, images.frame)
        self.mixing = mixing_of(spec, learn, None, lambda epoch: np.arange(len(ids)))

    def plain(self, row: int) -> dict[str, Any]:
        """Return the fields of a case as the first epoch augments them."""
        return self.fields(row, (*self.key, 0, self.ids[row]))

    def fields(self, row: int, stream: tuple[int | str, ...]) -> dict[str, Any]:
        """Return the first image of a case as cached, or a window of it, with the fields of the target that move with it."""
        if self.crops is not None:
            of_window, target = self.crops(row, counter(*stream, "window"))
            return {"image": of_window.image, **target}
        image = self.images.views(self.ids[row])[self._view(row)]
        return {"image": image, **(self.targets[row] if self.images.n_views == 1 else {})}

    def at(self, epoch: int, row: int) -> Fields:
        """Return the fields of a sample."""
        stream = (*self.key, epoch, self.ids[row])
        augmented = partial(self._augmented, self.augment.at(epoch, row))  # as if each row were a batch
        made = augmented(row, stream)
        if self.mixing is not None:
            made = self.mixing(made, augmented, epoch, stream)
        return {**{name: value for name, value in made.items() if name not in COMMON}, "image": made["images"][0]}

    def _augmented(self, augment: Augment, row: int, stream: tuple[int | str, ...]) -> dict[str, Any]:
        view = 0 if self.crops is not None else self._view(row)
        fields = augment(self.fields(row, stream), counter(*stream, *([view] if view else [])))
        images = fields.pop("image")[None]
        return {"id": self.ids[row], "weight": 1.0, "images": images, "present": np.ones(1, bool), **fields}

    def _view(self, row: int) -> int:
        return next(view for view, one in enumerate(self.images.views(self.ids[row])) if one is not None)
