"""Counts per image that earlier fits of a step have made."""

from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from goldfold.predictions.arrays import Arrays

MOST_BYTES = 2**29
"""Memory of the counts; of more images, the counts that were not used for longest are made again."""


class Kept:
    """Arrays by what they were made from, the last used ones last."""

    def __init__(self) -> None:
        self.arrays: dict[bytes, NDArray[Any]] = {}
        self.n_bytes = 0

    def of(self, key: bytes, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return the array of a key; make it if it is not known."""
        found = self.arrays.pop(key, None)
        if found is None:
            found = make()
            self.n_bytes += found.nbytes
        self.arrays[key] = found
        while self.n_bytes > MOST_BYTES and len(self.arrays) > 1:
            self.n_bytes -= self.arrays.pop(next(iter(self.arrays))).nbytes
        return found


def key(predictions: "Arrays", row: int, *more: Any) -> bytes:
    """Digest of all that the mask of one image is made from, and of ``more``."""
    stored = predictions[f"maps/{row}"]
    digest = blake2b(repr((stored.shape, *more)).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(stored).tobytes())
    for name in ("sizes", "rois", "thresholds", "components"):
        if name in predictions:
            digest.update(predictions[name][row].tobytes())
    return digest.digest()
