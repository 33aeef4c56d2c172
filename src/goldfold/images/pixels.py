"""What an image is inside goldfold, and what a file says of itself before it is decoded."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8] | NDArray[np.uint16]
"""(height, width, channels); 1 channel is grey, 3 are RGB, others are what their files say. 16 bits where the file has
more than 8."""


class Undecodable(Exception):
    """The file is not an image that can be read; the text says why."""


@dataclass(frozen=True)
class Header:
    """What a file holds."""

    kind: str
    """JPEG, PNG, TIFF, DICOM, ...; empty where it is not known."""
    bands: int
    """Channels as stored, alpha among them, of a palette those of its colours; pages where each is a channel; 0 where it is
    not known."""
    bits: int
    """Bits a channel as stored: above 8 it is decoded to 16."""
    accepts: tuple[int, ...]
    """Numbers of channels that it can be read as."""

    @property
    def natural(self) -> int:
        """Channels it is read as where nobody says: 3, or what it has."""
        return 3 if 3 in self.accepts else self.accepts[0]

    def refusal(self, channels: int) -> str:
        """Why it cannot be read as so many channels; empty where it can."""
        if channels in self.accepts:
            return ""
        return f"has {self.bands} channel{'s' * (self.bands != 1)}, data.channels asks for {channels}"


def readable(bands: int, has_alpha: bool = False) -> tuple[int, ...]:
    """Numbers of channels that pixels of so many bands can be read as: grey and colour as each other, without alpha."""
    if bands == 2:
        return (1, 2, 3) if has_alpha else (2,)
    return {1: (1, 3), 3: (1, 3), 4: (1, 3, 4)}.get(bands, (bands,))


def fitted(image: Image, channels: int) -> Image:
    """The image with so many channels, as `readable` allows: alpha dropped, luma of colours, grey as three."""
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
