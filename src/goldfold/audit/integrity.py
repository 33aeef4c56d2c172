"""Decode every image once, in parallel, and report properties and defects."""

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
"""Columns that `look` returns."""


def scan(
    paths: Iterable[str], workers: int, channels: int | None = None, most_pixels: int = MOST_PIXELS
) -> pd.DataFrame:
    """Table with one row per path; a sound image has an empty ``reason``.

    Columns: ``path``, ``sha256``, ``width``, ``height`` (pixels, upright), ``channels`` and ``bits`` per channel as stored,
    ``largest`` value if there are more than 8 bits (else 0), ``kind`` (JPEG, PNG, ...; empty if unknown), ``accepts``
    (numbers of channels that it can be read as), ``reason``, and for copies ``hash`` and ``thumbnail`` (see
    `goldfold.audit.perceptual.brief`).

    Args:
        paths: image files, or stacks of files.
        workers: number of decoding processes.
        channels: number of channels to read them as; None accepts any.
        most_pixels: an image with more pixels is reported as unsound without decoding.

    Raises:
        DataError: there are DICOM files but pydicom is not installed.
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
    """Values of COLUMNS for one image, from a single decode."""
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
    """Numbers of channels that the files can be read as in total, each file with the same number."""
    shared = set.intersection(*(set(header.accepts) for header in found)) if found else set()
    return sorted(len(found) * number for number in shared)


def _unsound(reason: str) -> Seen:
    return [0, 0, 0, 0, 0, "", [], reason, FLAT, ""]


def _reason(row: pd.Series, channels: int) -> str:
    """Reason why an image cannot be read with ``channels`` channels; empty if it can."""
    return row["reason"] or Header(row["kind"], row["channels"], row["bits"], tuple(row["accepts"])).refusal(channels)
