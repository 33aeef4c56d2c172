"""Mixing of samples whose targets are numbers per image: a label, several labels, a value.

Targets and weights are mixed by the share of each sample in the images. Cases of several images are mixed view by view.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from goldfold.base.errors import ConfigError
from goldfold.samples.mixing import COMMON, Partner, Sample, mixed_weight, weighted_sum
from goldfold.samples.mixing.regions import arranged, blended, cut, size_of


def mixup(sample: Sample, partner: Partner, generator: np.random.Generator, alpha: float = 0.2) -> Sample:
    """Blend with another sample by a share from Beta(alpha, alpha) (Zhang et al. 2018, eq. 1).

    A view that either case has counts as present; where one lacks it, it is blended with black.
    """
    refuse_alpha("mixup", alpha)
    share, other = float(generator.beta(alpha, alpha)), partner()
    images = blended(sample["images"], other["images"], share)
    present = sample["present"] | other["present"]
    return {**_by_shares([sample, other], [share, 1 - share]), "images": images, "present": present}


def cutmix(sample: Sample, partner: Partner, generator: np.random.Generator, alpha: float = 1.0) -> Sample:
    """Paste a rectangle of another sample, in place (Yun et al. 2019); shares are those of the pixels, after clipping."""
    refuse_alpha("cutmix", alpha)
    size = size_of(sample["images"])
    place, other, images = cut(size, alpha, generator), partner(), sample["images"].copy()
    images[place.of_images] = other["images"][place.of_images]
    pasted = place.area / (size[0] * size[1])
    return {**_by_shares([sample, other], [1 - pasted, pasted]), "images": images}


def mosaic(sample: Sample, partner: Partner, generator: np.random.Generator, least: float = 0.25) -> Sample:
    """Show parts of four samples in the quadrants around a random point (after Bochkovskiy et al. 2020, section 3.3).

    Each quadrant shows a part of its image, from a crop at full size to the largest part that fits. Shares are the areas.

    Args:
        least: smallest distance of the point from a side, as a fraction of the side, up to 0.5.
    """
    refuse_least(least)
    samples = [sample, *(partner() for _ in range(3))]
    images, _, shares = arranged(samples, least, generator)
    return {**_by_shares(samples, shares), "images": images}


def _by_shares(samples: Sequence[Sample], shares: Sequence[float]) -> dict[str, Any]:
    """Return the first sample with targets and weight mixed."""
    fields = [name for name in samples[0] if name not in COMMON]
    targets = {name: weighted_sum([sample[name] for sample in samples], shares) for name in fields}
    return {**samples[0], **targets, "weight": mixed_weight(samples, shares)}


def refuse_alpha(name: str, alpha: float) -> None:
    """Raise ConfigError where a parameter of the beta distribution is not above 0."""
    if not alpha > 0:
        raise ConfigError(f"{name}: alpha = {alpha:g} must be above 0; remove {name} for none")


def refuse_least(least: float) -> None:
    """Raise ConfigError where the least distance of a mosaic's centre is not a fraction up to one half."""
    if not 0 <= least <= 0.5:
        raise ConfigError(f"mosaic: least = {least:g} must be between 0 and 0.5, a fraction of the side")
