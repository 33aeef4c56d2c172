"""Types of decoded images and of file headers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8] | NDArray[np.uint16]
"""(height, width, channels); 1 channel is grey, 3 are RGB, other numbers are as in the files. 16 bits if the file has more
than 8."""


class Undecodable(Exception):
    """The file cannot be read as an image; the text says why."""


@dataclass(frozen=True)
class Header:
    """Properties of an image file."""

    kind: str
    """JPEG, PNG, TIFF, DICOM, ...; empty if unknown."""
    bands: int
    """Channels as stored, including alpha; of a palette those of its colours; pages if each is a channel; 0 if unknown."""
    bits: int
    """Bits per channel as stored; above 8, images are decoded to 16."""
    accepts: tuple[int, ...]
    """Numbers of channels that it can be read as."""

    @property
    def natural(self) -> int:
        """Default number of channels: 3 if possible, else the smallest accepted."""
        return 3 if 3 in self.accepts else self.accepts[0]

    def refusal(self, channels: int) -> str:
        """Reason why it cannot be read with ``channels`` channels; empty if it can."""
        if channels in self.accepts:
            return ""
        return f"has {self.bands} channel{'s' * (self.bands != 1)}, but data.channels is {channels}"


def readable(bands: int, has_alpha: bool = False) -> tuple[int, ...]:
    """Numbers of channels that pixels with ``bands`` can be read as: grey and colour as each other, without alpha."""
    if bands == 2:
        return (1, 2, 3) if has_alpha else (2,)
    return {1: (1, 3), 3: (1, 3), 4: (1, 3, 4)}.get(bands, (bands,))


def fitted(image: Image, channels: int) -> Image:
    """Convert to ``channels``, one of `readable`: drop alpha, take the luma of colours, or repeat grey."""
    import cv2

    bands = image.shape[2]
    if bands == channels:
        return image
    if channels == 1 and bands >= 3:
        grey: Image = cv2.cvtColor(np.ascontiguousarray(image[..., :3]), cv2.COLOR_RGB2GRAY)[..., None]
        return grey
    places = [0] * channels if bands < 3 else list(range(channels))
    chosen: Image = image.take(places, axis=2)
    return chosen
