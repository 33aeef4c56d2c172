"""Boxes as YOLO's text files, which `goldfold.sources.yolo` reads too."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.submission.boxes import Found


def write(
    folder: str, ids: Sequence[str], sizes: NDArray[Any], found: Found, classes: Sequence[str], with_scores: bool
) -> None:
    """Write ``labels/<id>.txt`` for each image, empty without boxes, and ``data.yaml`` with the names of the classes.

    Args:
        sizes: (n, 2), height and width of each image in pixels.
        found: boxes of each image in its pixels.
        with_scores: end each line with the score, as ultralytics does with ``save_conf``.
    """
    for id, size, image in zip(ids, sizes, found, strict=True):
        file = Path(folder) / "labels" / f"{id}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines(*image, size, with_scores)))
    names = [f"  {number}: {json.dumps(name, ensure_ascii=False)}" for number, name in enumerate(classes)]
    (Path(folder) / "data.yaml").write_text("\n".join(["names:", *names]) + "\n")


def lines(boxes: Any, scores: Any, labels: Any, size: Sequence[int], with_scores: bool) -> list[str]:
    """Return class, centre and size as fractions of the image (height, width), highest score first.

    >>> lines(np.array([[10, 20, 30, 60]]), np.array([0.5]), np.array([2]), (100, 200), True)
    ['2 0.100000 0.400000 0.100000 0.400000 0.500000']
    """
    made = []
    edges = np.asarray(boxes, np.float64).reshape(-1, 4) / np.array([size[1], size[0]] * 2)
    edges = edges.clip(0, 1)
    for row in np.argsort(-np.asarray(scores), kind="stable"):
        low, high = edges[row, :2], edges[row, 2:]
        numbers = [*(low + high) / 2, *(high - low), *[scores[row]] * with_scores]
        made.append(" ".join([str(int(labels[row])), *(f"{float(number):.6f}" for number in numbers)]))
    return made
