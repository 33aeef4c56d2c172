"""Are the images sound? One look at each file, in parallel."""

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd

from goldfold.data.decode import Undecodable, decode
from goldfold.runtime.fingerprint import StatCache

CHUNK = 64


def scan(paths: Iterable[str], workers: int) -> pd.DataFrame:
    """Table with a row a path: ``path, sha256, width, height, reason``; a sound image has an empty reason.

    Args:
        paths: image files.
        workers: processes that decode.
    """
    names = sorted(set(paths))
    present = [name for name in names if Path(name).is_file()]
    digests = StatCache().digests(present)
    with ProcessPoolExecutor(workers) as pool:
        sizes = dict(zip(present, pool.map(_size, present, chunksize=CHUNK), strict=True))
    rows = []
    for name in names:
        width, height, reason = sizes.get(name, (0, 0, "file is missing"))
        rows.append({"path": name, "sha256": digests.get(name, ""), "width": width, "height": height, "reason": reason})
    return pd.DataFrame(rows, columns=["path", "sha256", "width", "height", "reason"])


def _size(path: str) -> tuple[int, int, str]:
    try:
        height, width = decode(path, channels=3).shape[:2]
    except Undecodable as error:
        return 0, 0, str(error)
    return width, height, ""
