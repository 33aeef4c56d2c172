"""Crops from boxes in the data's own tables."""

import math
import re
from collections.abc import Mapping

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.crop.fit import Box, Found, in_pixels

NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
AROUND = re.compile(r"[\s,;()\[\]]*")
NONE = "no box is given"


def find(tables: Mapping[str, pd.DataFrame], workers: int, unit: str, corners: str) -> dict[str, list[Found]]:
    """Box of each image, from the column ``roi`` as the source read it."""
    return {
        split: [_found(split, row, unit, corners) for row in table.reindex(columns=COLUMNS).to_dict("records")]
        for split, table in tables.items()
    }


COLUMNS = ["id", "roi", "width", "height"]


def _found(split: str, row: Mapping[str, object], unit: str, corners: str) -> Found:
    text = row["roi"]
    if not isinstance(text, str) or not text:
        return None, NONE
    box = parsed(text)
    if box is None:
        raise DataError(
            f"{split}: {row['id']!r} has the box {text[:60]!r}. Write four numbers (data.roi.columns), or leave it empty."
        )
    return in_pixels(box, int(str(row["width"])), int(str(row["height"])), unit, corners), ""


def parsed(text: str) -> Box | None:
    """Parse four numbers, with commas, blanks and brackets around them; None if ``text`` is anything else."""
    numbers = NUMBER.findall(text)
    if len(numbers) != 4 or not AROUND.fullmatch(NUMBER.sub("", text)):
        return None
    x1, y1, x2, y2 = map(float, numbers)
    return (x1, y1, x2, y2) if all(map(math.isfinite, (x1, y1, x2, y2))) else None
