"""Images for display: three colours of 8 bits, whatever networks were trained on."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.images import depth
from goldfold.images.decode import decode, native

_HOW: ContextVar[tuple[int | None, depth.Rule]] = ContextVar("how images are shown", default=(None, depth.DEFAULT))


@contextmanager
def shown_as(channels: int, scale_16bit: depth.Rule) -> Iterator[None]:
    """Within the block, `shown` reads images as the networks do."""
    token = _HOW.set((channels, scale_16bit))
    try:
        yield
    finally:
        _HOW.reset(token)


def shown(path: str | Path) -> NDArray[np.uint8]:
    """Decode a file or stack (height, width, 3) as set by `shown_as`; outside of it, with its natural channels.

    Raises:
        Undecodable: it cannot be read.
    """
    channels, rule = _HOW.get()
    image = native(path) if channels is None else decode(path, channels)
    return as_colours(depth.to_8_bits(image, rule))


def as_colours(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(height, width, 3): grey repeated; two channels as red and green; of more, the first three."""
    channels = image.shape[2]
    if channels == 1:
        return np.repeat(image, 3, axis=2)
    if channels == 2:
        return np.concatenate([image, np.zeros_like(image[..., :1])], axis=2)
    return np.ascontiguousarray(image[..., :3])
