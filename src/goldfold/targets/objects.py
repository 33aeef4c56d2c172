"""Objects of masks: the true instances of a mask file, and connected components of a class."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from goldfold.base.errors import DataError
from goldfold.base.files import atomic
from goldfold.targets import class_files, run_masks
from goldfold.targets.mask_bits import Bits
from goldfold.targets.mask_coding import IGNORE, Coding
from goldfold.targets.masks import LARGEST, class_mask, decode_mask, object_masks

WAYS = ("auto", "given", "components")
"""Origins of true objects: those that the mask's file lists, or its connected components. `auto`: the files of a folder with
one per object, else components."""


Labels = NDArray[np.integer[Any]] | NDArray[np.bool_]
"""(height, width): 0 or False outside objects."""


@dataclass(frozen=True)
class Objects:
    """Objects of one mask; no pixel is in two."""

    labels: NDArray[np.int32]
    """(height, width) number of the object of each pixel, 0 without one."""
    channels: NDArray[np.uint8]
    """Channel of the objects 1, 2, ..."""


def joined(shape: tuple[int, ...], parts: Iterable[tuple[int, Labels]]) -> Objects:
    """Number objects one after the other; a pixel in two of them is of the first, and those without a pixel are left out.

    Args:
        parts: channel and labels of objects.
    """
    labels, channels = np.zeros(shape, np.int32), list[int]()
    for channel, part in parts:
        free = (part != 0) & (labels == 0)
        numbers, places = np.unique(part[free], return_inverse=True)
        labels[free] = len(channels) + 1 + places
        channels += [channel] * len(numbers)
    return Objects(labels, np.array(channels, np.uint8))


def components(channels: NDArray[np.uint8], of: Iterable[int]) -> Objects:
    """Return the regions of each of the channels ``of`` whose pixels are joined at edges or corners."""

    def label(channel: int) -> NDArray[np.int32]:
        found: NDArray[np.int32] = cv2.connectedComponents((channels == channel).astype(np.uint8), connectivity=8)[1]
        return found

    return joined(channels.shape, ((channel, label(channel)) for channel in of))


def connected(channels: NDArray[Any], coding: Coding | Bits) -> list[Objects]:
    """Return the connected regions of each class: all together, or those of each class that may overlap others as channel 1."""
    if not isinstance(coding, Bits):
        return [components(channels, coding.codes)]
    known = channels != coding.ignore
    return [components((coding.has(channels, code) & known).view(np.uint8), [1]) for code in coding.codes]


def read(path: str, coding: Coding | Bits, way: str) -> tuple[NDArray[Any], list[Objects]]:
    """Return the channels of a mask's pixels and its objects; pixels whose channel is not known are of no object.

    Args:
        path: mask as for `goldfold.targets.masks.decode_mask`.
        way: one of `WAYS`; ``given``: the files of a folder, each row of run lengths, or each value of a file, also of a class.

    Returns:
        Channels, and the objects of all classes; or sets of classes, and the objects of each, whose channel is 1.
    """
    is_text = run_masks.is_text(path)
    is_merged = class_files.is_text(path)
    is_folder = not is_text and not is_merged and Path(path).is_dir()
    stored = decode_mask(path)
    channels = coding.channels(stored)
    if way == "components" or (way == "auto" and not is_folder):
        return channels, connected(channels, coding)
    if isinstance(coding, Bits):
        found = _of_sets(path, channels.shape, coding)
        for one in found:
            one.labels[channels == coding.ignore] = 0
        return channels, found
    if is_folder:
        one = joined(channels.shape, ((coding.first, part != 0) for part in object_masks(Path(path), None)))
    elif is_text:
        rows = run_masks.rows(path)
        channel_of = {} if coding.takes_any else coding.of_value
        one = joined(channels.shape, ((channel_of.get(value, coding.first), part) for value, part in rows))
    elif is_merged:
        files = class_files.parsed(path).files.items()
        one = joined(
            channels.shape, ((coding.codes[int(number) - 1], class_mask(file, None)) for number, file in files)
        )
    else:
        one = joined(channels.shape, [(coding.first, stored)])
    one.labels[(channels == IGNORE) | (channels < coding.first)] = 0
    return channels, [one]


def _of_sets(path: str, shape: tuple[int, ...], coding: Bits) -> list[Objects]:
    """Return the objects of each class: rows of run lengths, or values of the file of the class."""
    numbers = range(1, 1 + len(coding.classes))
    if run_masks.is_text(path):
        rows = list(run_masks.rows(path))
        return [joined(shape, ((1, part) for value, part in rows if value == number)) for number in numbers]
    files = class_files.parsed(path).files
    parts = [[(1, class_mask(files[str(number)], None))] if str(number) in files else [] for number in numbers]
    return [joined(shape, own) for own in parts]


def write(path: str | Path, labels: NDArray[np.int32]) -> None:
    """Write the number of the object of each pixel, 0 without one, as PNG with 16 bits.

    Raises:
        DataError: there are more objects than 16 bits can number.
    """
    if (n := int(labels.max(initial=0))) > LARGEST:
        raise DataError(
            f"{path}: the image has {n:,} instances, and a PNG can number {LARGEST:,}. Leave out small ones: ensemble: [..., "
            f"{{instances: {{smallest: 30}}}}]."
        )
    with atomic(path) as temporary:
        Image.fromarray(labels.astype(np.uint16)).save(temporary, format="PNG")
