"""Are the images sound? One look at each file, in parallel."""

from collections.abc import Iterable
from functools import partial

import pandas as pd

from goldfold.audit.perceptual import FLAT, brief
from goldfold.base.regular import MOST_BYTES, fault
from goldfold.images import headers, stacks
from goldfold.images.decode import Undecodable, decode
from goldfold.images.depth import largest, to_8_bits
from goldfold.images.limits import MOST_PIXELS
from goldfold.images.looking import Seen, look_at
from goldfold.images.pixels import Header

COLUMNS = ["width", "height", "channels", "bits", "largest", "kind", "accepts", "reason", "hash", "thumbnail"]
"""What a look gives."""


def scan(
    paths: Iterable[str], workers: int, channels: int | None = None, most_pixels: int = MOST_PIXELS
) -> pd.DataFrame:
    """Table with a row a path; a sound image has an empty reason.

    Columns: ``path``, ``sha256``, ``width``, ``height`` (pixels, upright), ``channels`` and ``bits`` of each as the file has
    them, ``largest`` value of one with more than 8 bits (0 of others), ``kind`` (JPEG, PNG, ...; empty where it is not
    known), ``accepts`` (numbers of channels that it can be read as), ``reason``, and what it looks like: ``hash`` and
    ``thumbnail`` (see `goldfold.audit.perceptual.brief`).

    Args:
        paths: image files, or stacks of them.
        workers: processes that decode.
        channels: what they are to be read as; None takes them as they are.
        most_pixels: an image of more is not decoded, and is unsound.

    Raises:
        DataError: there are DICOM files, and pydicom is not installed.
    """
    names = sorted(set(paths))
    seen = look_at(names, look if most_pixels == MOST_PIXELS else partial(look, most_pixels=most_pixels), workers)
    rows = [
        (name, digest, *found)
        for name in names
        for digest, found in [
            seen.get(name) or ("", _unsound(f"file is {fault(stacks.files_of(name)[0], MOST_BYTES)}"))
        ]
    ]
    table = pd.DataFrame(rows, columns=["path", "sha256", *COLUMNS]).astype({"hash": "uint64"})
    return (
        table if channels is None else table.assign(reason=table.apply(_reason, axis=1, channels=channels).astype(str))
    )


def look(path: str, most_pixels: int = MOST_PIXELS) -> Seen:
    """What COLUMNS say of one image; one decode for all."""
    try:
        files = stacks.files_of(path) if stacks.all_there(path) else []
        found = [_header(file, len(files) > 1, most_pixels) for file in files]
        accepts = _together(found)
        image = decode(path, (3 if 3 in accepts else accepts[0]) if accepts else len(stacks.files_of(path)))
    except Undecodable as error:
        return _unsound(str(error))
    height, width = image.shape[:2]
    kinds = sorted({header.kind for header in found})
    bands, bits = sum(header.bands for header in found), max(header.bits for header in found)
    return [
        width,
        height,
        bands,
        bits,
        largest(image),
        kinds[0] if len(kinds) == 1 else "",
        accepts,
        "",
        *brief(to_8_bits(image)),
    ]


def _header(file: str, is_channel: bool, most_pixels: int) -> Header:
    try:
        return headers.of(file, most_pixels=most_pixels)
    except Undecodable as error:
        if is_channel:
            raise Undecodable(f"channel file {headers.name_of(file)} {error}") from error
        raise


def _together(found: list[Header]) -> list[int]:
    """Numbers of channels that files can be read as together, each with as many."""
    shared = set.intersection(*(set(header.accepts) for header in found)) if found else set()
    return sorted(len(found) * number for number in shared)


def _unsound(reason: str) -> Seen:
    return [0, 0, 0, 0, 0, "", [], reason, FLAT, ""]


def _reason(row: pd.Series, channels: int) -> str:
    """Why an image cannot be read as so many channels."""
    return row["reason"] or Header(row["kind"], row["channels"], row["bits"], tuple(row["accepts"])).refusal(channels)
