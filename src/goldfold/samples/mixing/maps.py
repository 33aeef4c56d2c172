"""Mixing of images with masks: pixels are exchanged with their classes; none is blended, since a pixel has one class."""

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError
from goldfold.samples.mixing import Partner, Sample, drawn_weight
from goldfold.samples.mixing.regions import arranged, covered_by_cut, fitted, size_of
from goldfold.samples.mixing.values import refuse_alpha, refuse_least
from goldfold.targets.mask_coding import IGNORE

BACKGROUND = 0
"""Channel that copy-paste takes no objects of: the background, or the class of the value 0."""


def cutmix(sample: Sample, partner: Partner, generator: np.random.Generator, alpha: float = 1.0) -> Sample:
    """Paste a rectangle of another image and of its mask, in place (French et al. 2020, for CutMix of Yun et al. 2019)."""
    refuse_alpha("cutmix", alpha)
    other, covered = partner(), covered_by_cut(size_of(sample["images"]), alpha, generator)
    return _pasted(sample, other, covered, generator)


def mosaic(sample: Sample, partner: Partner, generator: np.random.Generator, least: float = 0.25) -> Sample:
    """Show parts of four images and of their masks around a random point, see `goldfold.samples.mixing.values.mosaic`."""
    refuse_least(least)
    samples, mask = [sample, *(partner() for _ in range(3))], np.empty_like(sample["mask"])
    images, places, shares = arranged(samples, least, generator)
    for one, (part, place) in zip(samples, places, strict=True):
        mask[place.of_map] = fitted(one["mask"][part.of_map], place, cv2.INTER_NEAREST_EXACT)
    return {**sample, "images": images, "mask": mask, "weight": drawn_weight(samples, shares, generator)}


def copy_paste(sample: Sample, partner: Partner, generator: np.random.Generator, share: float = 0.5) -> Sample:
    """Paste objects of another image, in place (simple form of Ghiasi et al. 2021: no blending at their borders).

    An object is a connected region of a class; the background, or the class of the value 0, has none. Of classes that may
    overlap, it is a connected region of pixels of any class.

    Args:
        share: probability that an object is pasted; at least one is, if there is any.
    """
    refuse_share(share)
    other = partner()
    numbers, n = objects(other["mask"])
    if not n:
        return sample
    is_pasted = np.zeros(n + 1, bool)
    is_pasted[1 + some(n, share, generator)] = True
    return _pasted(sample, other, is_pasted[numbers], generator)


def objects(mask: NDArray[np.uint8]) -> tuple[NDArray[np.int32], int]:
    """Number the connected regions of each class from 1, ordered by class: (height, width), 0 elsewhere, and how many."""
    if mask.ndim == 3:  # sets of classes as bytes
        found, regions = cv2.connectedComponents(
            (mask.any(axis=2) & ~(mask == IGNORE).all(axis=2)).astype(np.uint8), connectivity=8
        )
        return regions, found - 1
    numbers, n = np.zeros(mask.shape, np.int32), 0
    for channel in np.setdiff1d(np.unique(mask), [BACKGROUND, IGNORE]):
        found, regions = cv2.connectedComponents((mask == channel).astype(np.uint8), connectivity=8)
        numbers[regions > 0] = regions[regions > 0] + n
        n += found - 1
    return numbers, n


def some(n: int, share: float, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw some of ``n`` > 0 objects, each with probability ``share``; one of them where that draws none."""
    drawn = np.flatnonzero(generator.random(n) < share)
    return drawn if len(drawn) else generator.integers(n, size=1)


def refuse_share(share: float) -> None:
    """Raise ConfigError where the share of pasted objects is no probability."""
    if not 0 <= share <= 1:
        raise ConfigError(f"copy_paste: share = {share:g} must be between 0 and 1, the probability of an object")


def _pasted(sample: Sample, other: Sample, covered: NDArray[np.bool_], generator: np.random.Generator) -> Sample:
    """Replace the covered pixels (height, width) of an image and its mask by those of another."""
    images, mask = sample["images"].copy(), sample["mask"].copy()
    images[:, covered], mask[covered] = other["images"][:, covered], other["mask"][covered]
    pasted = float(covered.mean())
    weight = drawn_weight([sample, other], [1 - pasted, pasted], generator)
    return {**sample, "images": images, "mask": mask, "weight": weight}
