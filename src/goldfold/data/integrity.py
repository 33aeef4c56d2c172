"""Are the images sound? One look at each file, in parallel."""

import warnings
from collections.abc import Iterable
from typing import Any

import pandas as pd
from PIL import Image

from goldfold.data.decode import Undecodable, decode
from goldfold.data.looking import Seen, look_at
from goldfold.data.perceptual import FLAT, brief

BITS_PER_SAMPLE = 258
"""TIFF's tag."""
COLUMNS = ["path", "sha256", "width", "height", "channels", "bits", "kind", "reason", "hash", "thumbnail"]


def scan(paths: Iterable[str], workers: int) -> pd.DataFrame:
    """Table with a row a path; a sound image has an empty reason.

    Columns: ``path``, ``sha256``, ``width``, ``height`` (pixels, upright), ``channels`` and ``bits`` of each as the file has
    them, ``kind`` (JPEG, PNG, ...; empty where Pillow does not know it), ``reason``, and what it looks like: ``hash`` and
    ``thumbnail`` (see `goldfold.data.perceptual.brief`).

    Args:
        paths: image files.
        workers: processes that decode.
    """
    names = sorted(set(paths))
    seen = look_at(names, look, workers)
    missing = ("", _unseen("file is missing"))
    rows = [(name, digest, *found) for name in names for digest, found in [seen.get(name, missing)]]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"hash": "uint64"})


def look(path: str) -> Seen:
    """Width, height, channels, bits, kind, what is wrong with one file, and what it looks like; one decode for all."""
    try:
        image = decode(path, channels=3)
    except Undecodable as error:
        return _unseen(str(error))
    height, width = image.shape[:2]
    return [width, height, *_stored(path), "", *brief(image)]


def _unseen(reason: str) -> Seen:
    return [0, 0, 0, 0, "", reason, FLAT, ""]


def _stored(path: str) -> tuple[int, int, str]:
    """Channels, bits and kind, by the head of the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of very large pictures, which were decoded all the same
            with Image.open(path) as image:
                return len(image.getbands()), _bits(image, path), str(image.format)
    except Exception:  # a format that OpenCV reads and Pillow does not
        return 0, 0, ""


def _bits(image: Any, path: str) -> int:
    """Bits a channel: Pillow turns 16 of a picture with colours into 8, and says nothing."""
    if image.format == "PNG":
        with open(path, "rb") as stream:
            return stream.read(25)[24]
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(BITS_PER_SAMPLE, (8,))))
    return 1 if image.mode == "1" else 8
