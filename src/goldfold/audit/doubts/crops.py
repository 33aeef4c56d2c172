"""Doubts about crops: images that are not cropped, and boxes outside the crop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from goldfold.base.words import count, noun


def about_crops(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Splits with more than 5 % of the images not cropped, and boxes outside the crop."""
    for split, of in found.items():
        n_whole = sum(of["whole"].values())
        if n_whole > of["images"] / 20:
            reason = max(of["whole"], key=lambda name: of["whole"][name])
            yield (
                f"{n_whole:,} of {count(of['images'], 'image')} of {split} {noun(n_whole, 'is', 'are')} taken whole "
                f"({n_whole / of['images']:.0%}), most often because: {reason}; a network then sees two kinds of images"
            )
        if of["boxes_lost"]:
            n, are = count(of["boxes_lost"], "box", "boxes"), noun(of["boxes_lost"], "is", "are")
            yield f"{n} of {split} {are} outside the crop: no model can find {noun(of['boxes_lost'], 'it', 'them')}"
