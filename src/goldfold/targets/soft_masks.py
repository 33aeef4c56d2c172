"""Soft masks: for each pixel the share of each class as a byte, 254 for 1 and 255 for ignored pixels; as text in tables."""

import base64
import json
import zlib
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from goldfold.targets.mask_bits import Bits
    from goldfold.targets.mask_coding import Coding

FULL, IGNORE = 254, 255
"""Levels of share 1, and of ignored pixels."""
Levels = NDArray[np.uint8]


def of_shares(shares: NDArray[np.floating[Any]], known: NDArray[np.bool_]) -> Levels:
    """Return levels of shares (classes, height, width); pixels that are not ``known`` (height, width) are ignored."""
    return np.where(known, np.round(shares * FULL), IGNORE).astype(np.uint8)


def to_text(levels: Levels) -> str:
    """Text of levels (classes, height, width): JSON of their shape and of compressed bytes."""
    packed = base64.b64encode(zlib.compress(levels.tobytes(), 6)).decode()
    return json.dumps({"shape": levels.shape, "bytes": packed})


def from_text(text: str) -> Levels:
    """Levels from a text written by `to_text`."""
    known = json.loads(text)
    return np.frombuffer(zlib.decompress(base64.b64decode(known["bytes"])), np.uint8).reshape(known["shape"])


def resized(levels: Levels, size: tuple[int, int]) -> Levels:
    """Resize levels (classes, height, width) bilinearly; pixels that lie mostly among ignored ones are ignored."""
    if levels.shape[1:] == size:
        return levels
    known = (levels[0] != IGNORE).astype(np.float32)
    weights = cv2.resize(known, size[::-1])
    each = [cv2.resize(one * known, size[::-1]) / np.maximum(weights, 1e-6) for one in levels.astype(np.float32) / FULL]
    return of_shares(np.stack(each).clip(0, 1), weights >= 0.5)


def of_hard(coding: "Coding | Bits", channels: NDArray[Any]) -> Levels:
    """Return levels (classes, height, width) of a hard mask; without the first channel where pixels have one."""
    codes = coding.codes if coding.overlaps else range(1, coding.n_channels)
    layers = np.stack([coding.has(channels, code) for code in codes])
    return of_shares(layers.astype(np.float32), channels != coding.ignore)


def decided(levels: Levels, coding: "Coding | Bits") -> NDArray[np.bool_]:
    """Return the pixels (classes, height, width) of which each class has more than half, of levels (classes, height, width).

    The first class, which is not stored where pixels have one of the classes and no background, has what is left.
    """
    if not coding.overlaps and not coding.first:
        known = levels[0] != IGNORE
        shares = np.where(known, levels, 0).sum(axis=0, keepdims=True) / FULL
        levels = np.concatenate([of_shares(1 - shares, known), levels])
    return np.asarray((levels > FULL / 2) & (levels != IGNORE))


def sharpened(shares: NDArray[np.floating[Any]], power: float, floor: float) -> NDArray[np.floating[Any]]:
    """Return shares (channels, ...) to a power, those below ``floor`` but the largest as 0, both times scaled to sum to one."""
    made = shares**power if power != 1 else shares
    made = made / np.maximum(made.sum(axis=0), 1e-12)
    if floor:
        made = np.where((made < floor) & (made < made.max(axis=0)), 0, made)
        made = made / np.maximum(made.sum(axis=0), 1e-12)
    return made
