"""Samples as training sees them, made from image files without a cache: for contact sheets.

The report's digest leaves this module out: what changes the pixels of samples retrains, and so redraws, anyway.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from goldfold import tasks
from goldfold.base.counter import counter
from goldfold.cache.images import CachedImages, build
from goldfold.images import cases, depth
from goldfold.samples.by_size import BySize
from goldfold.samples.transforms import Augment
from goldfold.tasks.optional import compose_params

if TYPE_CHECKING:
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


def augment_of(spec: Spec, learn: Learn, frame: tuple[int, int]) -> Augment | BySize:
    """Build the augmentation of a run, for cached images of the size ``frame``."""
    how = spec.train.augment, spec.train.flips, frame, spec.channels, compose_params(learn)
    if not spec.sizes:
        return Augment(*how, shown=spec.size)
    return BySize([epoch for epoch, _ in spec.sizes], [Augment(*how, shown=size) for _, size in spec.sizes])


def previews(
    spec: Spec, task: tasks.Spec, classes: Sequence[str], table: pd.DataFrame, n: int, rule: depth.Rule = depth.DEFAULT
) -> list[Preview]:
    """Preview the cases of some rows of the manifest's training table, ``n`` epochs each.

    The pixels are those of the training of ``spec``. Of a case of several images, the first one is shown.

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
        images = CachedImages([Path(folder) / "images"], rule)
        targets = target.targets(table, images, spec.resize)
        augment = augment_of(spec, learn, images.frame)
        as_shown = Augment("none", "none", images.frame, spec.channels, compose_params(learn), shown=spec.size)
        found = []
        for row, id in enumerate(table["id"]):
            view, image = next((view, one) for view, one in enumerate(images.views(id)) if one is not None)
            fields = {"image": image, **(targets[row] if images.n_views == 1 else {})}
            seeds = [counter(*spec.key, epoch, id, *([view] if view else [])) for epoch in range(n)]
            name = str(table["label"].iloc[row]) if "label" in table else ""
            made = [augment.at(epoch)(dict(fields), seed) for epoch, seed in enumerate(seeds)]
            found.append(Preview(id, name, as_shown(dict(fields), 0), made))
    return found
