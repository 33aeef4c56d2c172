"""Doubts about image files: left out, unread, in no table, of another format than their suffix says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from goldfold.base.words import count, noun
from goldfold.images.files import SUFFIXES as SUFFIXES_OF_IMAGES
from goldfold.images.files import UNREAD, files_below

SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "TIFF": {".tif", ".tiff"},
    "MPO": {".jpg", ".jpeg"},
    "DICOM": {".dcm", ".dicom"},
}


def about_left_out(left_out: list[dict[str, str]], images: dict[str, int]) -> Iterator[str]:
    """Splits of which more than 1 % of the images cannot be used."""
    counts = Counter(row["split"] for row in left_out if row["part"] == "image")
    for split, number in counts.items():
        total = number + images.get(split, 0)
        if number > total / 100:
            are = noun(number, "is", "are")
            yield f"{number:,} of {count(total, 'image')} of {split} {are} left out ({number / total:.0%}); see the reasons"


def about_unread(folders: Iterable[str]) -> Iterator[str]:
    """Pictures below the data folders in a format that goldfold does not read."""
    unread = sorted({f"{folder}/{name}" for folder in folders for name in files_below(Path(folder), UNREAD)})
    if unread:
        n = count(len(unread), "picture is", "pictures are")
        yield f"{n} of a format that goldfold does not read, first {unread[0]}: convert {noun(len(unread), 'it', 'them')}"


def about_unlisted(folders: Iterable[str], listed: Iterable[str]) -> Iterator[str]:
    """Images in the folders that no table names; ``listed`` are the paths in the splits and in the quarantine."""
    from goldfold.sources.unlisted import absolute, in_words

    known = {file for path in listed for file in absolute(path)}
    for folder in dict.fromkeys(folders):
        names = [f"{folder}/{name}" for name in files_below(Path(folder), SUFFIXES_OF_IMAGES)]
        if rest := [name for name in names if known.isdisjoint(absolute(name))]:
            yield in_words(len(rest), folder, rest[0])


def about_files(paths: list[str], scale_16bit: Any = "percentile", max_pixels: int = 200_000_000) -> Iterator[str]:
    """Wrong suffixes, more than 8 bits per channel, and differing channels; the scan of the images is cached."""
    from goldfold.audit.integrity import scan
    from goldfold.images.stacks import files_of

    table = scan(paths, 1, most_pixels=max_pixels)
    known = table["kind"] != ""
    false = known & ~table.apply(
        lambda row: (
            Path(files_of(row["path"])[0]).suffix.lower() in SUFFIXES.get(row["kind"], {f".{row['kind'].lower()}"})
        ),
        axis=1,
    )
    if false.any():
        first = table[false].iloc[0]
        n = count(int(false.sum()), "file is not what its suffix says", "files are not what their suffix says")
        yield f"{n}, first {first['path']}: {first['kind']}"
    deep = table[table["bits"] > 8]
    if len(deep):
        largest, first = int(deep["largest"].max()), files_of(deep["path"].iloc[0])[0]
        yield (
            f"{len(deep):,} of {count(len(table), 'image')} {noun(len(deep), 'has', 'have')} more than 8 bits per channel, first "
            f"{first}, with values up to {largest:,}: {_about_scale(scale_16bit, largest)}"
        )
    kinds = Counter(table["channels"][known].tolist())
    if len(kinds) > 1:
        listed = ", ".join(f"{n} with {channels}" for channels, n in sorted(kinds.items()))
        yield f"images differ in the number of channels: {listed}; all are read with data.channels"


def _about_scale(rule: str | list[int], largest: int) -> str:
    """Effect of data.scale_16bit on images with values of up to ``largest``."""
    bits = max(8, largest.bit_length())
    better = f"data.scale_16bit: [0, {2**bits - 1}]"
    if isinstance(rule, list):
        return f"data.scale_16bit clips values above {rule[1]:,}" * (largest > rule[1]) or "data.scale_16bit fits them"
    if rule == "full_range":
        return f"set {better}, or they are nearly black" if bits < 15 else "data.scale_16bit: full_range fits them"
    return f"each is stretched on its own (data.scale_16bit: {rule}); if brightness separates classes, set {better}"
