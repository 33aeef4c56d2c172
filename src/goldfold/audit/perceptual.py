"""Perceptual hash and thumbnail of an image, for finding copies."""

from base64 import b64decode, b64encode
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.images.looking import Seen

SIDE_PX = 32
"""Side of the thumbnail. imagehash's phash of 8 x 8 bits uses 32 x 32 pixels, so it does not resize again."""
MIN_SPREAD = 2.0
"""Standard deviation of the thumbnail, in grey levels, below which the hash would be of noise."""
MIN_SIDE_PX = 16
"""Images with a smaller side are not hashed: different 8 x 8 digits match as closely as copies do."""
FLAT = 0
"""Hash of an image with too little structure; a real phash has about 32 bits set, never none."""


class Signature(NamedTuple):
    """Hashes of the image and its left-right mirror (both FLAT if it has too little structure); SIDE_PX² grey levels."""

    hash: int
    mirrored: int
    thumbnail: bytes


def signature(image: NDArray[np.uint8]) -> Signature:
    """Signature of a decoded image.

    Args:
        image: (height, width, channels), 0 to 255; 3 channels are RGB, any other number is averaged.
    """
    small = thumbnail(image)
    if _is_flat(image, small):
        return Signature(FLAT, FLAT, small.tobytes())
    return Signature(_phash(small), _phash(small[:, ::-1]), small.tobytes())


def thumbnail(image: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.uint8]:
    """(SIDE_PX, SIDE_PX) grey levels of the whole image, aspect ratio not kept.

    Args:
        image: as in `signature`; of 16 bits, the largest value becomes white.
    """
    how = cv2.INTER_LINEAR if min(image.shape[:2]) < SIDE_PX else cv2.INTER_AREA
    if image.dtype == np.uint8 and image.shape[2] in (1, 3):
        small = cv2.resize(image, (SIDE_PX, SIDE_PX), interpolation=how).reshape(SIDE_PX, SIDE_PX, -1)
        return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) if small.shape[2] == 3 else small[..., 0]
    planes = [cv2.resize(plane, (SIDE_PX, SIDE_PX), interpolation=how) for plane in np.moveaxis(image, 2, 0)]
    largest = 255.0 if image.dtype == np.uint8 else max(float(image.max()), 1.0)
    return (np.mean(planes, axis=0) * (255 / largest)).round().astype(np.uint8)


def _is_flat(image: NDArray[Any], small: NDArray[np.uint8]) -> bool:
    return min(image.shape[:2]) < MIN_SIDE_PX or float(small.std()) < MIN_SPREAD


def _phash(grey: NDArray[np.uint8]) -> int:
    from imagehash import phash
    from PIL import Image

    bits = phash(Image.fromarray(np.ascontiguousarray(grey))).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def brief(image: NDArray[np.uint8] | NDArray[np.uint16]) -> Seen:
    """Hash and thumbnail (base64, see `unpacked`) of a decoded image.

    Args:
        image: as in `thumbnail`.
    """
    small = thumbnail(image)
    return [FLAT if _is_flat(image, small) else _phash(small), b64encode(small.tobytes()).decode()]


def unpacked(text: str) -> bytes:
    """Decode the thumbnail of a `brief`."""
    return b64decode(text)


def mirrored(hash: int, small: bytes) -> int:
    """Hash of the left-right mirror of an image with this hash and thumbnail."""
    grey = np.frombuffer(small, np.uint8).reshape(SIDE_PX, SIDE_PX)
    return FLAT if hash == FLAT else _phash(grey[:, ::-1])
