"""Colours of classes in pictures of masks: those of the data's masks, if they have any."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.drawing.overlays import Colour, colour_of
from goldfold.targets import class_files, colours, run_masks

if TYPE_CHECKING:
    from goldfold.targets.mask_bits import Bits
    from goldfold.targets.mask_coding import Coding

GREY = 12
"""A colour whose channels differ by less is grey, which is hard to see on a photograph."""


def of_classes(coding: Coding | Bits, mask: Any = "") -> list[Colour]:
    """One colour per class: that of colour masks, or of the palette, else the default colours.

    Args:
        mask: path of one mask of the data.
    """
    own = [] if coding.overlaps else of_values(coding) or of_palette(str(mask), tuple(coding.values)) or []
    return own if len(set(own)) == len(coding.values) else [colour_of(index) for index in range(len(coding.values))]


def of_values(coding: Coding | Bits) -> list[Colour]:
    """Colours that are the masks' values; empty if values are numbers."""
    if not coding.has_colours:
        return []
    return [_triple(pixel) for pixel in colours.pixels_of(np.array(coding.values))]


@cache
def of_palette(path: str, values: tuple[int, ...]) -> list[Colour] | None:
    """Colours of some values in the palette of a mask image; None if it has no palette, or only greys."""
    from PIL import Image

    if not path or run_masks.is_text(path) or class_files.is_text(path):
        return None
    try:
        with Image.open(path) as image:
            palette = image.getpalette("RGB") if image.mode == "P" else None
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    if palette is None or 3 * max(values) + 3 > len(palette):
        return None
    found = [_triple(palette[3 * value : 3 * value + 3]) for value in values]
    return found if any(max(colour) - min(colour) >= GREY for colour in found) else None


def _triple(levels: Any) -> Colour:
    red, green, blue = (int(level) for level in levels)
    return red, green, blue
