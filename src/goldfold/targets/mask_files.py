"""Predicted masks as files: one per image, or one per image and class where classes may overlap."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from goldfold.targets.mask_bits import Bits
    from goldfold.targets.mask_coding import Coding


def folder_of(name: str) -> str:
    """Folder of the masks of a class, with a slash at its end; characters that would lead to another folder are escaped.

    >>> folder_of("left lung"), folder_of("a/b")
    ('left lung/', 'a%2Fb/')
    """
    safe = name.replace("%", "%25").replace("/", "%2F").replace("\\", "%5C")
    return f"{safe.replace('.', '%2E') if set(safe) == {'.'} else safe}/"


def folders_of(coding: "Coding | Bits") -> list[str]:
    """Folders of the files of an image, relative to that of all masks: one per class if these may overlap."""
    return [folder_of(name) for name in coding.classes] if coding.overlaps else [""]


def written(coding: "Coding | Bits", channels: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the folder and the pixels of each file of a mask: the values of the training masks, or 255 in a class that may
    overlap others."""
    if not coding.overlaps:
        yield "", coding.written(channels)
        return
    for folder, code in zip(folders_of(coding), coding.codes, strict=True):
        yield folder, coding.has(channels, code).astype(np.uint8) * np.uint8(255)


def numbered(coding: "Coding | Bits", labels: NDArray[np.int32]) -> Iterator[tuple[str, NDArray[np.int32]]]:
    """Yield the folder and the pixels of each file of the instances of an image, see `goldfold.targets.objects`.

    Args:
        labels: (height, width), or (classes, height, width) if classes may overlap.
    """
    yield from zip(folders_of(coding), labels if coding.overlaps else [labels], strict=True)
