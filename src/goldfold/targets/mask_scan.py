"""Facts of many mask files, read in parallel: size, values, edges between values, palette, and flaws."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goldfold.base.regular import MOST_BYTES, fault
from goldfold.images.decode import Undecodable
from goldfold.images.limits import MOST_PIXELS
from goldfold.images.looking import Seen, look_at, of_files
from goldfold.targets import class_files, colours, palettes, run_masks, smears
from goldfold.targets.masks import (
    MOST_COLOURS,
    TOO_MANY,
    Mask,
    decode_classes,
    decode_file,
    decode_runs,
    laid_over,
    mask_files,
    object_masks,
    values_in,
)


def scan(paths: Iterable[str], workers: int, most_pixels: int = MOST_PIXELS) -> pd.DataFrame:
    """Table with one row per path: ``path, sha256, height, width, values, reason``; a sound mask has an empty reason.

    ``values`` is JSON, value -> number of its pixels; palettes are read by index.

    Args:
        paths: as accepted by `goldfold.targets.masks.decode_mask`.
        workers: processes that decode.
        most_pixels: a mask with more pixels is not decoded, and gets a reason.
    """
    return _seen(paths, workers, most_pixels)[["path", "sha256", "height", "width", "values", "reason"]]


def scan_edges(paths: Iterable[str], workers: int, most_pixels: int = MOST_PIXELS) -> pd.DataFrame:
    """Table with one row per path: ``path, edges, palette, n_colours``; results of `scan` are reused.

    ``edges`` is JSON of `goldfold.targets.smears.Edges`, summed over the files of a folder; ``palette`` is JSON, colours by
    index, or empty. ``n_colours`` is the number of colours if there are too many, else 0; rare colours are then merged in
    ``edges`` and ``values``, and the reason reports it.
    """
    return _seen(paths, workers, most_pixels)[["path", "edges", "palette", "n_colours"]]


def _seen(paths: Iterable[str], workers: int, most_pixels: int) -> pd.DataFrame:
    names = sorted(set(paths))
    look_so = look if most_pixels <= MOST_PIXELS else partial(look, most_pixels=most_pixels)
    seen = look_at(names, look_so, workers, digests_of=_digests)
    rows = [
        (name, digest, *found)
        for name in names
        for digest, found in [seen.get(name) or ("", [0, 0, "{}", "{}", "", 0, f"file is {fault(name, MOST_BYTES)}"])]
    ]
    columns = ("path", "sha256", "height", "width", "values", "edges", "palette", "n_colours", "reason")
    return pd.DataFrame(rows, columns=columns)


def look(path: str, most_pixels: int = MOST_PIXELS) -> Seen:
    """Height, width, values, edges, palette, number of colours and flaw of one mask."""
    try:
        if class_files.is_text(path):
            return _look_at_sets(decode_classes(path, most_pixels))
        if run_masks.is_text(path) and run_masks.may_overlap(path):
            return _look_at_sets(decode_runs(path))
        if not run_masks.is_text(path) and Path(path).is_dir():
            return _look_at_folder(Path(path), most_pixels)
        mask, palette = (decode_runs(path), None) if run_masks.is_text(path) else decode_file(path, most_pixels)
    except Undecodable as error:
        return [0, 0, "{}", "{}", "", 0, str(error)]
    picture = None if palette is None else colours.pixels_of(palettes.numbers(palette)[mask])
    edges, n, reason = smears.edges_of(mask, picture), 0, ""
    if mask.dtype == np.uint32 and len(edges) > MOST_COLOURS:
        n, reason = len(edges), TOO_MANY.format(len(edges))
        edges = smears.binned(edges)
    values = {value: counts[0] for value, counts in edges.items()}
    return [*mask.shape, _json(values), _json(edges), "" if palette is None else _json(palette), n, reason]


def _look_at_sets(mask: Mask) -> Seen:
    """Result of `look` for a mask merged of classes, whose values are numbers or bits of these: without edges."""
    values, numbers = np.unique(mask, return_counts=True)
    counts = dict(zip(values.tolist(), numbers.tolist(), strict=True))
    return [*mask.shape, _json(counts), "{}", "", 0, ""]


def _look_at_folder(folder: Path, most_pixels: int) -> Seen:
    """Result of `look` for a folder with one file per object."""
    edges: list[smears.Edges] = []

    def watched() -> Iterator[Mask]:
        for part in object_masks(folder, most_pixels):
            edges.append(smears.edges_of(part))
            yield part

    mask = laid_over(watched())
    return [*mask.shape, _json(values_in(mask)), _json(smears.summed(edges)), "", 0, ""]


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _digests(names: Iterable[str]) -> dict[str, str]:
    """sha256 of each file's bytes, of each text, or of the digests of a folder's files, regardless of their names."""
    parts = {name: mask_files(name) for name in names if _is_several(name) or not fault(name, MOST_BYTES)}
    of_part = of_files(part for found in parts.values() for part in found)
    digests = {}
    for name, found in parts.items():
        lines = _lines(name, [of_part.get(part) or fault(part, MOST_BYTES) for part in found])
        digests[name] = of_part[name] if found == [name] else hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return digests


def _is_several(name: str) -> bool:
    """Return whether a mask is no single file."""
    return run_masks.is_text(name) or class_files.is_text(name) or os.path.isdir(name)


def _lines(name: str, digests: Sequence[str]) -> list[str]:
    """Lines of which the digest of a mask without a file of its own is made, given the digests of its files."""
    if run_masks.is_text(name):
        return ["text", name]
    if class_files.is_text(name):
        known = class_files.parsed(name)
        return [*map(str, known.files), *digests, str(known.overlap), str(list(known.ignored)), known.lacking]
    return sorted(digests)
