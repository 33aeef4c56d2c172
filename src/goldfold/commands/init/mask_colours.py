"""Classes of colour masks and palettes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from goldfold.base.errors import DataError
from goldfold.base.words import count, noun
from goldfold.commands.init.found import Doubt, Setting
from goldfold.targets import colours
from goldfold.targets.mask_values import MOST_UNNAMED
from goldfold.targets.palettes import Palette, Used, are_indices, edges_by_colour
from goldfold.targets.smears import Edges

SHOWN = 40
"""Largest number of colours in the report."""
EVEN = 0.5
"""Smallest share of non-empty masks with colours; fewer are strays in a folder of masks of values."""


@dataclass
class Seen:
    """A decoded mask."""

    name: str
    """Path relative to the root."""
    counts: Edges
    """Counts by value; for a palette by index, until `settle` has read it."""
    palette: Palette | None
    n_colours: int = 0
    """Number of colours, if too many for a mask; else 0."""


def settle(seen: Sequence[Seen]) -> tuple[dict[str, Setting], list[Doubt]]:
    """Read the palettes by index or by colour; return the settings and doubts."""
    files = [Used(one.name, one.palette, sorted(one.counts)) for one in seen if one.palette is not None]
    filled = [one for one in seen if one.palette is None and set(one.counts) - {0}]
    plain = next((one.name for one in filled), "")
    settings, doubts = dict[str, Setting](), list[Doubt]()
    try:
        by_index = are_indices(files, "auto", "index", plain=plain)
    except DataError as error:
        by_index = all(file.is_grey for file in files)
        text = str(error).removeprefix("data.masks: ").split(". ")[0]
        way = "by palette index, not by colour (data.mask_palette: index)" if by_index else "by colour"
        are_values = any(max(one.counts) < colours.FIRST for one in filled)
        doubts.append(Doubt(f"{text}; the masks are read {way}.", stops=are_values and not by_index))
        settings["mask_palette"] = Setting("index" if by_index else "colour", "see the doubts")
    else:
        if by_index:
            doubts.append(Doubt("all masks share one palette, so their values are palette indices, not colours."))
    for one in seen:
        if one.palette is not None and not by_index:
            one.counts = edges_by_colour(one.counts, one.palette)
    return settings, doubts


def odd_ones(seen: Sequence[Seen]) -> list[Seen]:
    """Masks with colours, if most masks have values."""
    filled = [one for one in seen if set(one.counts) - {0}]
    coloured = [one for one in filled if max(one.counts) >= colours.FIRST]
    return coloured if len(coloured) < EVEN * len(filled) else []


def shares(seen: Sequence[Seen]) -> dict[int, float]:
    """Colour -> share of all pixels, the largest first."""
    numbers: dict[int, int] = {}
    for one in seen:
        for value, counts in one.counts.items():
            numbers[value] = numbers.get(value, 0) + counts[0]
    total = sum(numbers.values())
    return {value: n / total for value, n in sorted(numbers.items(), key=lambda entry: (-entry[1], entry[0]))}


def in_words(seen: Sequence[Seen], of: Mapping[int, float]) -> str:
    """Each colour with its share and the number of masks that have it."""
    parts = [
        f"{colours.as_colour(value)} {share:.2%} in {count(sum(value in one.counts for one in seen), 'mask')}"
        for value, share in list(of.items())[:SHOWN]
    ]
    return ", ".join(parts) + (f", and {len(of) - SHOWN} more" if len(of) > SHOWN else "")


def doubts(seen: Sequence[Seen], of: Mapping[int, float]) -> list[Doubt]:
    """Doubts about colours without names, too many colours, and black as background."""
    n = len(of) - (0 in of)
    found = [
        Doubt(
            f"{count(n, 'colour')} {noun(n, 'is a class', 'are classes')}: name {noun(n, 'it', 'them')} in data.mask_values."
        )
    ]
    if n > MOST_UNNAMED or any(one.n_colours for one in seen):
        text = f"{count(n, 'colour')} in {count(len(seen), 'mask')}: a mask has one per class. Are these photographs?"
        found.append(Doubt(text, stops=any(one.n_colours for one in seen)))
    if 0 in of:
        found.append(
            Doubt(
                f"black, {of[0]:.2%} of the pixels, is no class of data.mask_values, so it is background; if it marks "
                f'unlabelled pixels, set data.ignore_value: "#000000"; if it is a class, name it.'
            )
        )
    return found


def written(rule: Mapping[str, int]) -> dict[str, Any]:
    """Values in the notation of the config."""
    return dict(zip(rule, colours.all_written(list(rule.values())), strict=True))
