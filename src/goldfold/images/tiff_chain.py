"""Read the directories of a TIFF before any library follows them: the chain may contain a cycle."""

import struct
from dataclasses import dataclass

from goldfold.images.pixels import Undecodable

MOST_DIRECTORIES = 4096
"""Largest number of pages, including thumbnails and masks; an image has at most 64 channels."""
WIDTH, HEIGHT, SAMPLES, TILE_WIDTH, TILE_HEIGHT = 256, 257, 277, 322, 323
SIZES = {3: "H", 4: "I", 16: "Q"}
"""Integer field types -> struct codes."""
SIZES_OF_OLD = (3, 4)
"""Integer field types of a TIFF that is not BigTIFF."""


@dataclass(frozen=True)
class Directory:
    """Size of a page; a tile may be larger than the image."""

    width: int
    height: int
    samples: int


def directories(content: bytes) -> list[Directory]:
    """All directories of a TIFF or BigTIFF in the order of their chain.

    Raises:
        Undecodable: the chain has a cycle, leads out of the file or is very long, or its directories overlap.
    """
    order = "<" if content[:2] == b"II" else ">"
    is_big = content[2:4] in (b"+\0", b"\0+")
    found: list[Directory] = []
    seen: set[int] = set()
    n_bytes = 0
    try:
        (place,) = struct.unpack_from(order + ("Q" if is_big else "I"), content, 8 if is_big else 4)
        while place:
            if place in seen:
                raise Undecodable("cannot be decoded: its directories form a ring")
            if len(found) == MOST_DIRECTORIES:
                raise Undecodable(f"cannot be decoded: it has more than {MOST_DIRECTORIES} directories")
            seen.add(place)
            n_bytes += _size(content, place, order, is_big)
            if n_bytes > len(content):
                raise Undecodable("cannot be decoded: its directories overlap")
            directory, place = _directory(content, place, order, is_big)
            found.append(directory)
    except struct.error as error:
        raise Undecodable("cannot be decoded: a directory lies outside the file") from error
    return found


def _size(content: bytes, place: int, order: str, is_big: bool) -> int:
    """Size in bytes of the entries of the directory at ``place``."""
    (count,) = struct.unpack_from(order + ("Q" if is_big else "H"), content, place)
    return int(count) * (20 if is_big else 12)


def _directory(content: bytes, place: int, order: str, is_big: bool) -> tuple[Directory, int]:
    """Directory at ``place``, and the position of the next one; 0 after the last."""
    length, entry, number = (8, 20, "Q") if is_big else (2, 12, "I")
    (count,) = struct.unpack_from(order + ("Q" if is_big else "H"), content, place)
    if place + length + count * entry > len(content):
        raise Undecodable("cannot be decoded: a directory lies outside the file")
    tags: dict[int, int] = {}
    for start in range(place + length, place + length + count * entry, entry):
        tag, kind = struct.unpack_from(order + "HH", content, start)
        if tag in (WIDTH, HEIGHT, SAMPLES, TILE_WIDTH, TILE_HEIGHT) and kind in (SIZES if is_big else SIZES_OF_OLD):
            (value,) = struct.unpack_from(order + SIZES[kind], content, start + (12 if is_big else 8))
            tags[tag] = max(value, tags.get(tag, 0))
    (following,) = struct.unpack_from(order + number, content, place + length + count * entry)
    width, height = (
        max(tags.get(own, 0), tags.get(tile, 0)) for own, tile in ((WIDTH, TILE_WIDTH), (HEIGHT, TILE_HEIGHT))
    )
    return Directory(width, height, tags.get(SAMPLES, 1)), following
