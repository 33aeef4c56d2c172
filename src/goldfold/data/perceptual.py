"""What an image looks like, in few bits: hashes and a thumbnail by which copies are found."""

from base64 import b64encode
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.data import depth
from goldfold.data.decode import Undecodable, native, scaled
from goldfold.data.looking import Seen

SIDE_PX = 32
"""Side of the thumbnail; imagehash's phash of 8 x 8 bits looks at 32 x 32 pixels, so it resizes nothing more."""
MIN_SPREAD = 2.0
"""Standard deviation of the thumbnail, in grey levels, below which the hash is that of noise."""
MIN_SIDE_PX = 16
"""Images smaller than this on a side say too little: different 8 x 8 digits agree as well as copies do."""
FLAT = 0
"""Hash of an image with too little structure; a phash has about 32 bits set, never none."""


class Signature(NamedTuple):
    """Hash of the image and of its left-right mirror, FLAT both where it shows too little; SIDE_PX² grey levels."""

    hash: int
    mirrored: int
    thumbnail: bytes


def signature(image: NDArray[np.uint8]) -> Signature:
    """Signature of a decoded image.

    Args:
        image: (height, width, channels), 0 to 255; 3 channels are RGB, of any other number the mean is looked at.
    """
    small = thumbnail(image)
    if _is_flat(image, small):
        return Signature(FLAT, FLAT, small.tobytes())
    return Signature(_phash(small), _phash(small[:, ::-1]), small.tobytes())


def perceptual_hash(image: NDArray[np.uint8]) -> int:
    """pHash of 64 bits (Zauner 2010, by imagehash), FLAT for an image with too little structure.

    Args:
        image: as in `signature`; for a mirrored copy hash ``image[:, ::-1]``.
    """
    small = thumbnail(image)
    return FLAT if _is_flat(image, small) else _phash(small)


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(SIDE_PX, SIDE_PX) grey levels; the whole image, squashed."""
    enlarges = min(image.shape[:2]) < SIDE_PX
    way = cv2.INTER_LINEAR if enlarges else cv2.INTER_AREA
    small = scaled(image, SIDE_PX, SIDE_PX, way)
    if small.shape[2] == 3:
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
    return small[..., 0] if small.shape[2] == 1 else small.mean(axis=2).round().astype(np.uint8)


def _is_flat(image: NDArray[np.uint8], small: NDArray[np.uint8]) -> bool:
    return min(image.shape[:2]) < MIN_SIDE_PX or float(small.std()) < MIN_SPREAD


def _phash(grey: NDArray[np.uint8]) -> int:
    from imagehash import phash
    from PIL import Image

    bits = phash(Image.fromarray(np.ascontiguousarray(grey))).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def look(path: str) -> Seen:
    """Hash and thumbnail (base64) of one image, of 16 bits as `depth.DEFAULT` shows it.

    One that cannot be decoded has those of a picture that shows nothing.
    """
    try:
        own = signature(depth.to_8_bits(native(path)))
    except Undecodable:
        own = Signature(FLAT, FLAT, bytes(SIDE_PX**2))
    return [own.hash, b64encode(own.thumbnail).decode()]
