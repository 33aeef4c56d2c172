"""Named features of an image (brightness, colour, detail, layout, file) for comparing two sets of images."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.images.decode import Undecodable, native
from goldfold.images.depth import DEFAULT, Rule, to_8_bits
from goldfold.images.looking import Seen
from goldfold.images.stacks import files_of
from goldfold.images.viewing import as_colours

SMALL_PX = 128
"""Longest side of the image that colours are computed on."""
CENTRE_PX = 512
"""Side of the central part in which detail is measured at full resolution."""
PLACES = [f"{row} {column}" for row in ("top", "middle", "bottom") for column in ("left", "centre", "right")]
MAGIC = {b"\xff\xd8\xff": 1, b"\x89PN": 2, b"GIF": 3, b"II*": 4, b"MM\0": 4, b"BM": 5, b"RIF": 6}
"""First bytes of JPEG, PNG, GIF, TIFF, BMP and WebP."""

FEATURES: dict[str, str] = {
    "mean grey level": "brightness",
    "dark end (5th percentile)": "brightness",
    "median grey level": "brightness",
    "bright end (95th percentile)": "brightness",
    "share of black pixels": "brightness",
    "share of white pixels": "brightness",
    "spread of grey levels": "contrast",
    **{f"mean of {name}": "colour" for name in ("red", "green", "blue")},
    **{f"spread of {name}": "contrast" for name in ("red", "green", "blue")},
    "mean saturation": "colour",
    "spread of saturation": "colour",
    "red against blue": "colour",
    "sharpness (log Laplacian variance)": "detail",
    "sharpness of the thumbnail": "detail",
    "noise (mean step between pixels)": "detail",
    **{f"brightness {place}": "layout" for place in PLACES},
    "border against middle": "layout",
    "width, px": "image size",
    "height, px": "image size",
    "width / height": "image size",
    "bytes a pixel": "file",
    "kind of file": "file",
}
"""Name -> kind of each feature, in the order of `look`."""
OF_THE_FILE = ("image size", "file")
"""Kinds that are hardly visible to a network once images are resized."""


def look(path: str, scale_16bit: Rule = DEFAULT) -> Seen:
    """Features of one file, scaled to 8 bits as networks see it; empty if it cannot be decoded."""
    try:
        image = as_colours(to_8_bits(native(path), scale_16bit))
    except Undecodable:
        return []
    height, width = image.shape[:2]
    files = files_of(path)
    file = [sum(Path(own).stat().st_size for own in files) / (height * width), float(_kind(files[0]))]
    return [float(f"{value:.6g}") for value in [*of_pixels(image), width, height, width / height, *file]]


def of_pixels(image: NDArray[np.uint8]) -> list[float]:
    """All features except image size and file.

    Args:
        image: (height, width, 3) RGB, 0 to 255.
    """
    ratio = min(1.0, SMALL_PX / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * ratio)), max(1, round(image.shape[0] * ratio)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float64)
    channels = small.reshape(-1, 3).astype(np.float64)
    saturation = channels.max(axis=1) - channels.min(axis=1)
    means, spreads = channels.mean(axis=0), channels.std(axis=0)
    shares = [(grey <= 2).mean(), (grey >= 253).mean()]
    levels = [grey.mean(), *np.percentile(grey, [5, 50, 95]), *shares, grey.std()]
    colour = [*means, *spreads, saturation.mean(), saturation.std(), means[0] - means[2]]
    return [float(value) for value in [*levels, *colour, *_detail(image), *_layout(grey)]]


def _detail(image: NDArray[np.uint8]) -> list[float]:
    """Sharpness of the central part at full resolution, sharpness of a 32 px thumbnail, and noise."""
    top, left = (max(0, (side - CENTRE_PX) // 2) for side in image.shape[:2])
    part = image[top : top + CENTRE_PX, left : left + CENTRE_PX]
    centre = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2GRAY)
    thumbnail = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    sharpness = [float(np.log1p(cv2.Laplacian(grey, cv2.CV_32F).var())) for grey in (centre, thumbnail)]
    steps = np.abs(np.diff(centre.astype(np.int16), axis=1))
    return [*sharpness, float(steps.mean() if steps.size else 0.0)]


def _layout(grey: NDArray[np.float64]) -> list[float]:
    """Brightness of nine parts relative to the whole, and of the border relative to the middle."""
    parts = cv2.resize(grey, (3, 3), interpolation=cv2.INTER_AREA) - grey.mean()
    ring = cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA)
    middle = ring[4:12, 4:12].mean()
    border = (ring.sum() - ring[1:15, 1:15].sum()) / 60
    return [*parts.ravel(), float(border - middle)]


def _kind(path: str) -> int:
    with open(path, "rb") as stream:
        head = stream.read(3)
    return next((number for magic, number in MAGIC.items() if head.startswith(magic)), 0)
