"""The masks of a table of images: their contents, and how their pixels are read."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.base.regular import opened
from goldfold.images.limits import JPEG, at_most
from goldfold.targets import colours, mask_values, palettes
from goldfold.targets.class_files import BITS
from goldfold.targets.mask_scan import scan, scan_edges
from goldfold.targets.mask_values import Contents, Ignored, ignored
from goldfold.targets.masks import BY_COLOUR, by_colour
from goldfold.targets.palettes import Palette
from goldfold.targets.smears import Edges, Smears, find, of_their_own, summed


@dataclass(frozen=True)
class Rule:
    """Settings of pixel values, from the settings of the task."""

    values: str | Mapping[str, int]
    """See `goldfold.targets.mask_values.values_of`."""
    ignore: Ignored = None
    palette: str | Mapping[str, Sequence[int]] = "auto"
    """``auto``, ``index`` or ``colour``; or, for other masks than the training masks, `Masks.shared` of the latter."""


class Masks:
    """The scanned masks of a table with the columns mask, height and width.

    Raises:
        DataError: the reading of palettes is ambiguous.
    """

    def __init__(self, table: pd.DataFrame, rule: Rule, workers: int) -> None:
        self.rule = rule
        self.has = table["mask"].notna()
        paths = list(table["mask"][self.has])
        largest = int((table["width"].astype(int) * table["height"].astype(int)).max()) if len(table) else 0
        scanned, edges = (look(paths, workers, at_most(largest)) for look in (scan, scan_edges))
        looks = scanned.merge(edges, on="path").set_index("path")
        self.found = table[["mask"]].merge(looks, how="left", left_on="mask", right_index=True)
        self.sizes = list(zip(table["height"].astype(int), table["width"].astype(int), strict=True))
        self.stored = [mask_values.parsed(text) for text in self.found["values"]]
        self.palettes = [_palette(text) for text in self.found["palette"]]
        self.by_index = self._read_by_index()
        if self.by_index:
            self.found["palette"] = ""  # flaws do not concern palettes

    @cached_property
    def files(self) -> list[palettes.Used]:
        """Masks with a palette."""
        triples = zip(self.found["mask"], self.palettes, self.stored, strict=True)
        return [palettes.Used(path, own, sorted(counts)) for path, own, counts in triples if own is not None]

    @property
    def names(self) -> list[Any]:
        """Argument of `goldfold.targets.masks.decode_mask` for each mask; missing without a mask."""
        pairs = zip(self.found["mask"], self.palettes, strict=True)
        return [path if self.by_index or own is None else by_colour(path) for path, own in pairs]

    @property
    def digests(self) -> list[Any]:
        """Digest of each mask's bytes, with a suffix if it is read by colour."""
        pairs = zip(self.found["sha256"], self.palettes, strict=True)
        return [sha256 if self.by_index or own is None else f"{sha256}-colour" for sha256, own in pairs]

    @property
    def shared(self) -> dict[str, Sequence[int]] | None:
        """The common palette and its used indices if all masks are read by index by default; otherwise None."""
        if not self.by_index or not self.files or self.rule.palette == "index":
            return None
        indices = sorted({index for file in self.files for index in file.indices})
        return {"palette": max((file.palette for file in self.files), key=len), "indices": indices}

    @cached_property
    def contents(self) -> list[dict[int, int]]:
        """Number of pixels by value, as read."""
        pairs = zip(self.stored, self.palettes, strict=True)
        return [counts if own is None or self.by_index else palettes.by_colour(counts, own) for counts, own in pairs]

    @cached_property
    def smears(self) -> Smears | None:
        """Smears over all masks; bits of classes have values of their own between others."""
        return None if self.rule.values == BITS else find(self.edges)

    @cached_property
    def edges(self) -> Edges:
        """Summed counts of all masks, as read."""
        pairs = zip(map(mask_values.parsed_edges, self.found["edges"]), self.palettes, strict=True)
        return summed(
            own if palette is None or self.by_index else palettes.edges_by_colour(own, palette)
            for own, palette in pairs
        )

    def flaws(self, allowed: set[int] | None, to_nearest: bool = False) -> list[str]:
        """Flaw of each mask, see `goldfold.targets.mask_values.flaw`."""
        own = set(of_their_own(self.edges, allowed or {0})) if to_nearest and self.edges else set()
        may = [to_nearest and not own & set(content) for content in self.contents]
        rows = zip(self.found.to_dict("records"), self.contents, self.sizes, may, self.has, strict=True)
        any_colour = self.rule.values == "nonzero"
        return [
            mask_values.flaw(mask, content, size, allowed, self.smears, smears_may, any_colour) if there else ""
            for mask, content, size, smears_may, there in rows
        ]

    def _read_by_index(self) -> bool:
        rule = self.rule
        levels = [value for value in ignored(rule.ignore) if value < colours.FIRST]
        files, asked = list(self.files), rule.palette
        if not isinstance(asked, str):
            own = palettes.Used("the training masks", list(asked["palette"]), asked["indices"])
            files, asked = [own, *files] if files else [], "auto"
        by_index = palettes.are_indices(files, asked, rule.values, bool(levels), self._plain(levels))
        if by_index and files:
            _refuse_colours(files, rule)
        return by_index

    def _plain(self, levels: Sequence[int]) -> str:
        """A mask without a palette that has other values than 0 and ``levels``; empty if there is none."""
        triples = zip(self.found["mask"], self.palettes, self.stored, strict=True)
        return next((path for path, own, counts in triples if own is None and set(counts) - {0, *levels}), "")


def _refuse_colours(files: Sequence[palettes.Used], rule: Rule) -> None:
    """Refuse ignored colours in masks whose classes are indices."""
    for value in ignored(rule.ignore):
        if value >= colours.FIRST and rule.values != "nonzero":
            index = palettes.index_of(files, value)
            instead = "no palette has it; remove it" if index is None else f"write {index}, its entry in the palette"
            raise DataError(
                f"data.ignore_value: {colours.written(value)} is a colour, and data.mask_values are numbers, which in these "
                f"masks are entries of a palette: {instead}."
            )


def values_json(contents: Sequence[Contents]) -> list[str]:
    """The column ``mask_values`` of the manifest."""
    return [json.dumps(content) for content in contents]


def edges_of(names: Sequence[str]) -> Edges:
    """Summed counts of masks given as in `Masks.names`, which were all scanned."""
    looks = scan_edges([name.removeprefix(BY_COLOUR) for name in names], 1)
    parts = zip(map(mask_values.parsed_edges, looks["edges"]), map(_palette, looks["palette"]), strict=True)
    return summed(own if palette is None else palettes.edges_by_colour(own, palette) for own, palette in parts)


def first_jpeg(names: Sequence[str]) -> str:
    """The first of masks given as in `Masks.names` that is a JPEG file, whatever its suffix; empty if there is none."""
    for name in names:
        path = name.removeprefix(BY_COLOUR)
        with suppress(OSError), opened(path) as stream:
            if stream.read(len(JPEG)) == JPEG:
                return path
    return ""


def _palette(text: Any) -> Palette | None:
    """Palette from its JSON."""
    return json.loads(text) if isinstance(text, str) and text else None
