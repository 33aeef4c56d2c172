"""Palettes of masks: whether the value of a pixel is its index or its colour.

A palette is a list of 0xRRGGBB by index. Read by colour, a pixel has the number of `goldfold.targets.colours`, so that a
grey palette gives its grey values. Read by index, it has the index, which has the same meaning in all files only if they
share one palette.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from goldfold.base.errors import DataError
from goldfold.targets import colours
from goldfold.targets.smears import Edges, summed

Palette = list[int]
SHOWN = 8
"""Most colours that an error lists."""


@dataclass(frozen=True)
class Used:
    """Palette of a mask file, and the indices of its pixels."""

    path: str
    palette: Palette
    indices: Sequence[int]

    @property
    def is_grey(self) -> bool:
        """Return whether all entries are greys, including unused ones."""
        return all(_number(colour) < colours.FIRST for colour in self.palette)

    def entries(self) -> list[tuple[int, int]]:
        """Index and colour of the used entries."""
        return [(index, _colour(self.palette, index)) for index in self.indices]


def of_image(image: Image.Image) -> Palette | None:
    """Palette of an opened image, with the length stored in the file; None if its pixels are not indices."""
    if image.mode not in ("P", "PA"):
        return None
    levels = image.getpalette("RGB") or []
    return [red << 16 | green << 8 | blue for red, green, blue in zip(*[iter(levels)] * 3, strict=True)]


def numbers(palette: Palette) -> NDArray[np.uint32]:
    """Number by index, 256 of them; indices beyond the palette are black, as in decoders."""
    return np.array([_number(_colour(palette, index)) for index in range(256)], dtype=np.uint32)


def by_colour(counts: Mapping[int, int], palette: Palette) -> dict[int, int]:
    """Convert counts by index to counts by number, in ascending order."""
    of_index, summed = numbers(palette), dict[int, int]()
    for index, n in counts.items():
        number = int(of_index[index])
        summed[number] = summed.get(number, 0) + n
    return dict(sorted(summed.items()))


def edges_by_colour(edges: Edges, palette: Palette) -> Edges:
    """Convert counts by index to counts by number."""
    of_index = numbers(palette)
    return summed({int(of_index[index]): counts} for index, counts in edges.items())


def are_indices(
    files: Sequence[Used], asked: str, rule: str | Mapping[str, int], ignores: bool = False, plain: str = ""
) -> bool:
    """Return whether the pixels of palette files are read by index rather than by colour.

    Args:
        asked: ``index``, ``colour``, or ``auto``: by colour if all palettes are grey, by index if all files share one.
        rule: values of the classes, as levels; see `goldfold.targets.mask_values.values_of`.
        ignores: whether levels are ignored.
        plain: a file without a palette that has other values than 0; empty if there is none.

    Raises:
        DataError: with ``auto``, if both readings are ambiguous.
    """
    if asked != "auto" or not files:
        return asked == "index"
    if all(file.is_grey for file in files):
        _refuse_lost(files)
        return False
    _refuse_odd_zero(files, only_black=rule != "nonzero")
    if rule != "nonzero" or ignores:
        _refuse_unshared(files)
        if plain:
            raise DataError(
                f"data.masks: {files[0].path} has a palette of colours and {plain} has none, so the value 1 is ambiguous. "
                f"{_ways_out(files)}"
            )
    return True


def index_of(files: Sequence[Used], number: int) -> int | None:
    """The index of the colour with this number; None if no file has it."""
    found = (index for file in files for index, colour in enumerate(file.palette) if _number(colour) == number)
    return next(found, None)


def _number(colour: int) -> int:
    return colours.number_of(colour >> 16, colour >> 8 & 255, colour & 255)


def _colour(palette: Palette, index: int) -> int:
    return palette[index] if index < len(palette) else 0


def _refuse_lost(files: Sequence[Used]) -> None:
    """Refuse grey palettes with two used entries of the same grey, which could not be distinguished by colour."""
    for file in files:
        seen: dict[int, int] = {}
        for index, colour in file.entries():
            if (other := seen.setdefault(colour, index)) != index:
                raise DataError(
                    f"data.masks: entries {other} and {index} of the palette of {file.path} are the same colour, "
                    f"{_hex(colour)}. Set data.mask_palette: index to keep them apart, or colour to treat them as one."
                )


def _refuse_odd_zero(files: Sequence[Used], only_black: bool) -> None:
    """Refuse palettes in which the two readings have different backgrounds, as written by quantisers.

    Args:
        only_black: whether to refuse only black at another index, and not an entry 0 of another colour.
    """
    for file in files:
        first = _colour(file.palette, 0)
        black = next((index for index, colour in file.entries() if index and not colour), None)
        if black is not None and (first or not only_black):
            raise DataError(
                f"data.masks: in the palette of {file.path} entry 0 is {_hex(first)} and entry {black} is black, so the "
                f"background depends on the reading. {_ways_out(files)}"
            )
        if not only_black and first and 0 in file.indices:
            raise DataError(
                f"data.masks: entry 0 of the palette of {file.path} is {_hex(first)}: nonzero may mean all but this entry, or "
                f"all but black. {_ways_out(files)}"
            )


def _refuse_unshared(files: Sequence[Used]) -> None:
    """Refuse palettes in which a used entry has different colours, or a colour different entries, in different files."""
    longest = max((file.palette for file in files), key=len)
    is_one = all(file.palette == longest[: len(file.palette)] for file in files)
    colour_of: dict[int, tuple[int, str]] = {}
    entry_of: dict[int, tuple[int, str]] = {}
    for file in files:
        for index, colour in file.entries():
            other, path = colour_of.setdefault(index, (colour, file.path))
            if other != colour:
                what = f"entry {index} is {_hex(other)} in {path} and {_hex(colour)} in {file.path}"
                raise DataError(f"data.masks: the palettes of the masks differ: {what}. {_ways_out(files)}")
            entry, path = entry_of.setdefault(colour, (index, file.path))
            if entry != index and not is_one:
                what = f"{_hex(colour)} is entry {entry} in {path} and entry {index} in {file.path}"
                raise DataError(f"data.masks: the palettes of the masks differ: {what}. {_ways_out(files)}")


def _ways_out(files: Sequence[Used]) -> str:
    found = list(dict.fromkeys(colour for file in files for _, colour in file.entries() if colour))
    named = ", ".join(f'class_{place}: "{_hex(colour)}"' for place, colour in enumerate(found[:SHOWN], 1))
    more = ", ..." if len(found) > SHOWN else ""
    return (
        f"Name the colours, data.mask_values: {{{named}{more}}}, or set data.mask_palette: index to read numbers of "
        f"entries, or colour to read their colours."
    )


def _hex(colour: int) -> str:
    return f"#{colour:06x}"
