"""Size of a shard before it is made, estimated on some of its images."""

from collections.abc import Iterator

import numpy as np

from goldfold.cache import tiles
from goldfold.cache.building import Contents, Frame, decoded, framed_in
from goldfold.cache.stores import encode
from goldfold.images.decode import Image

SAMPLE = 16
"""Images that are read."""


def pixels_per_image(contents: Contents, frame: Frame) -> float:
    """Stored pixels of an image; at their own size the mean of some images of ``contents``, whose tiles are filled up."""
    if not frame.is_native:
        return float(frame.size[0] * frame.size[1])
    sizes = [tiles.n_tiles((image.shape[0], image.shape[1])) for image in _some(contents, frame)]
    return float(np.mean([down * across for down, across in sizes] or [0])) * tiles.SIDE_PX**2


def _some(contents: Contents, frame: Frame) -> Iterator[Image]:
    """Yield some images of ``contents``, evenly spaced, decoded and resized."""
    n = len(contents.table)
    for row in range(0, n, max(1, n // SAMPLE))[:SAMPLE]:
        yield framed_in(*decoded(contents, row), contents.rois[row], frame, contents.dtype)[0]


def share_of_png(contents: Contents, frame: Frame) -> float:
    """Ratio of PNG bytes to pixel bytes, estimated on some images of ``contents``; 1 if there are none."""
    encoded = pixels = 0
    for image in _some(contents, frame):
        encoded, pixels = encoded + len(encode(image)), pixels + image.nbytes
    return encoded / pixels if pixels else 1.0
