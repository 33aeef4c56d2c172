"""Doubts about crops: images without a part to cut out, and boxes that are cut off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from goldfold.base.words import count, noun


def about_crops(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Splits of which more than a twentieth finds no part to cut out, and boxes that are cut off."""
    for split, of in found.items():
        n_whole = sum(of["whole"].values())
        if n_whole > of["images"] / 20:
            reason = max(of["whole"], key=lambda name: of["whole"][name])
            yield (
                f"{n_whole:,} of {count(of['images'], 'image')} of {split} {noun(n_whole, 'is', 'are')} taken whole "
                f"({n_whole / of['images']:.0%}), most often because: {reason}; a network sees two kinds of pictures then"
            )
        if of["boxes_lost"]:
            n, lie = count(of["boxes_lost"], "box", "boxes"), noun(of["boxes_lost"], "lies", "lie")
            yield f"{n} of {split} {lie} outside what is cut out: no model can find {noun(of['boxes_lost'], 'it', 'them')}"
