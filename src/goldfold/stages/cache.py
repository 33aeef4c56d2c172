"""shard list -> decoded, resized uint8 images."""

from pathlib import Path

import pandas as pd

from goldfold.data.cache import build


def run(shard: str, folder: str, size: list[int], channels: int, resize: str) -> None:
    """Write the images that ``shard`` (CSV of id, path, sha256) lists into ``folder``.

    Raises:
        DataError: an image can no longer be read.
    """
    table = pd.read_csv(shard, dtype=str, keep_default_na=False)
    build(table, Path(folder), (size[0], size[1]), channels, resize)
    print(f"{len(table)} images", flush=True)
