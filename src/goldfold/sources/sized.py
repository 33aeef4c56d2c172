"""Conversion of targets that depend on the size of their image, once it is known."""

from collections.abc import Callable

import pandas as pd

from goldfold.targets import run_masks
from goldfold.targets.boxes import in_pixels

SIZED: dict[str, tuple[str, Callable[[str, int, int], str]]] = {
    "shares": ("boxes", lambda text, height, width: in_pixels(text, width, height)),
    "runs": ("mask", run_masks.to_text),
}
"""Column of a source -> column that tasks read, and the conversion: (text, height, width) -> text."""


def with_sizes(table: pd.DataFrame) -> pd.DataFrame:
    """Replace ``shares`` by ``boxes``, and ``runs`` by ``mask``; missing values stay missing."""
    sizes = list(zip(table["height"].astype(int), table["width"].astype(int), strict=True))
    for given, (wanted, make) in SIZED.items():
        if given in table:
            texts = zip(table[given], sizes, strict=True)
            made = [make(text, *size) if isinstance(text, str) else None for text, size in texts]
            table = table.drop(columns=given).assign(**{wanted: made})
    return table
