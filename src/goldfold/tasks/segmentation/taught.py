"""Pseudo masks: which pixels of a prediction are decided, and the text of the mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.tasks.segmentation.spec import Mask, Spec

if TYPE_CHECKING:
    from goldfold.images.geometry import Placement

Values = NDArray[np.floating[Any]]
"""(channels, height, width) probabilities."""


@dataclass(frozen=True)
class Taught:
    """Decisions on pixels: of the most probable channel, or of each class that may overlap others."""

    spec: Spec
    threshold: float
    """A pixel is decided if the probability of its decision reaches it; of classes that may overlap, those of all do."""
    ignore_band: tuple[float, float] | None = None
    """Limits instead: a pixel is of the most probable class if its probability reaches the upper one, of the background if it
    does not exceed the lower one, and not decided in between. Of classes that may overlap, each is decided so."""

    def decided(self, values: Values) -> tuple[Mask, Any, Any]:
        """Return the channel, or the set of classes, of each pixel, whether it is decided, and the probability of that.

        Args:
            values: as stored: probabilities of classes that may overlap, or of all channels but the first.
        """
        if self.spec.overlaps:
            confidence = np.maximum(values, 1 - values)
            sure = confidence >= self.threshold if self.ignore_band is None else self._outside(values)
            sets = self.spec.coding.of(values >= self._middle)  # type: ignore[union-attr]
            return sets, sure.all(axis=0), confidence.min(axis=0)
        from goldfold.predictions.maps import with_first_channel

        every = with_first_channel(values)
        confidence, index = every.max(axis=0), every.argmax(axis=0).astype(np.uint8)
        if self.ignore_band is None:
            return index, confidence >= self.threshold, confidence
        classes = every[self.spec.first :]
        most, best = classes.max(axis=0), (classes.argmax(axis=0) + self.spec.first).astype(np.uint8)
        if not self.spec.first:  # without a background
            return best, most >= self.ignore_band[1], most
        index = np.where(most >= self.ignore_band[1], best, np.uint8(0))
        return index, self._outside(most), np.where(index > 0, most, every[0])

    @property
    def _middle(self) -> float:
        return 0.5 if self.ignore_band is None else self.ignore_band[1]

    def _outside(self, values: Values) -> NDArray[np.bool_]:
        assert self.ignore_band is not None, "only called with a band"
        low, high = self.ignore_band
        found: NDArray[np.bool_] = (values <= low) | (values >= high)
        return found


@dataclass(frozen=True)
class Text:
    """The pseudo mask of an image."""

    text: str
    confidence: float
    decided: float
    """Share of decided pixels."""


def texts(
    spec: Spec,
    taught: Taught,
    stored: NDArray[np.uint8],
    cut: Placement,
    soft: Mapping[str, float] | None,
    least_decided: float,
) -> Text | None:
    """Return the mask of an image; None if too few of its pixels are decided.

    Args:
        stored: map of the image; soft masks keep its resolution.
        cut: place of its region in the image.
        soft: ``power`` and ``floor`` of soft masks; None for hard ones.
    """
    from goldfold.predictions.maps import resized

    values = resized(stored, cut.part if soft is None else stored.shape[1:])
    channels, sure, confidence = taught.decided(values)
    if sure.mean() < least_decided or not sure.any():
        return None
    numbers = round(float(confidence[sure].mean()), 6), round(float(sure.mean()), 6)
    if soft is None:
        channels[~sure] = spec.coding.ignore
        return Text(spec.coding.to_text(cut.put_back(channels)), *numbers)
    from goldfold.targets.soft_masks import of_shares, to_text

    return Text(to_text(of_shares(_sharpened(spec, values, soft), sure)), *numbers)


def _sharpened(spec: Spec, values: Values, soft: Mapping[str, float]) -> Values:
    """Return probabilities as stored after sharpening and floor; of classes that may overlap, of the yes and no of each."""
    from goldfold.predictions.maps import with_first_channel
    from goldfold.targets.soft_masks import sharpened

    if spec.overlaps:
        pairs = np.stack([1 - values, values])
        return sharpened(pairs, soft["power"], soft["floor"])[1]
    return sharpened(with_first_channel(values), soft["power"], soft["floor"])[1:]
