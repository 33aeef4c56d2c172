"""Crops from files of boxes that a detector predicted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goldfold.base.errors import DataError, nearest
from goldfold.crop.fit import Found
from goldfold.images.files import without_suffix
from goldfold.sources.reading import column_of, is_header_alone, read_csv, read_json

KEY = "data.roi.boxes"
CORNERS = ["x1", "y1", "x2", "y2"]
COLUMNS = ["id", "label", "score", *CORNERS]
NAMES = {"score": ("score", "confidence"), "label": ("label", "prediction")}
"""Accepted names of columns: the second is that of goldfold's own tables of predictions."""
NONE, UNSURE = "no box is given", "no box scores enough"


def find(
    tables: Mapping[str, pd.DataFrame],
    workers: int,
    boxes: Sequence[str],
    pick: str = "best",
    least_score: float = 0.3,
    labels: Sequence[str] | None = None,
    unit: str = "pixels",
) -> dict[str, list[Found]]:
    """Box of each image; see `goldfold.config.roi.BoxesRoi` for the settings.

    Raises:
        DataError: a file cannot be read, two files hold boxes of one image, or they name none of the images.
    """
    read = _read(boxes, unit)
    _refuse_strangers(read, tables, boxes)
    wanted = read if labels is None else _of_labels(read, labels, boxes)
    by_id = {str(id): rows for id, rows in wanted.groupby("id")}
    found: dict[str, list[Found]] = {}
    for split, table in tables.items():
        ids = written(table, by_id)
        sizes = zip(table["width"].astype(int), table["height"].astype(int), strict=True)
        found[split] = [picked(by_id.get(id), *size, pick, least_score) for id, size in zip(ids, sizes, strict=True)]
    return found


def _refuse_strangers(read: pd.DataFrame, tables: Mapping[str, pd.DataFrame], boxes: Sequence[str]) -> None:
    known = set(read["id"])
    if known and not any(known & set(form) for table in tables.values() for form in _forms(table)):
        first = next(iter(tables.values()))["id"].iloc[0]
        raise DataError(
            f"{KEY}: {', '.join(boxes)} names none of the images: its first id is {read['id'].iloc[0]!r}, the data's "
            f"{first!r}. Write the ids of the data, or the names of their files."
        )


def _of_labels(read: pd.DataFrame, labels: Sequence[str], boxes: Sequence[str]) -> pd.DataFrame:
    there = sorted(set(read["label"].dropna()))
    for label in labels:
        if label not in there:
            raise DataError(
                f"data.roi.labels: no box in {', '.join(boxes)} is of {label!r}; {nearest(label, there)}there are: "
                f"{', '.join(there) or 'none with a label'}."
            )
    return read[read["label"].isin(labels)]


def _forms(table: pd.DataFrame) -> list[list[str]]:
    """Names that files may use for the images: id, the competition's number, file name, file name without suffix."""
    names = [Path(path).name for path in table["path"]]
    numbers = [table["coco_id"].tolist()] if "coco_id" in table else []
    return [table["id"].tolist(), *numbers, names, [without_suffix(name) for name in names]]


def written(table: pd.DataFrame, known: Mapping[str, Any]) -> list[str]:
    """Names of the images in the form that matches most of the names in the files; must be unique."""
    forms = [form for form in _forms(table) if len(set(form)) == len(form)]
    return max(forms, key=lambda form: sum(name in known for name in form))


def picked(rows: pd.DataFrame | None, width: int, height: int, pick: str, least_score: float) -> Found:
    """The box of an image by its `COLUMNS` and ``is_share``, see `goldfold.config.roi.BoxesRoi`; None if it has no box."""
    if rows is None:
        return None, NONE
    sure = rows[rows["score"] >= least_score]
    if sure.empty:
        return None, UNSURE
    corners = sure[CORNERS].to_numpy(dtype=float)
    scale = np.where(sure["is_share"].to_numpy(dtype=bool)[:, None], [width, height] * 2, 1.0)
    corners = corners * scale
    if pick == "best":
        x1, y1, x2, y2 = corners[int(np.argmax(sure["score"].to_numpy()))].tolist()
        return (x1, y1, x2, y2), ""
    low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    return (float(low[0]), float(low[1]), float(high[0]), float(high[1])), ""


def _read(paths: Sequence[str], unit: str) -> pd.DataFrame:
    """id, label, score, corners and is_share of all boxes."""
    parts: list[pd.DataFrame] = []
    for path in paths:
        is_json = Path(path).suffix.lower() == ".json"
        part = _coco_results(path) if is_json else _csv(path)
        for earlier, other in zip(parts, paths, strict=False):
            both = sorted(set(part["id"]) & set(earlier["id"]))
            if both:
                raise DataError(f"{KEY}: {both[0]!r} is in both {other} and {path}. Remove it from one.")
        parts.append(part.assign(is_share=not is_json and unit == "shares"))
    return pd.concat(parts, ignore_index=True)


def _csv(path: str) -> pd.DataFrame:
    """Read boxes from a CSV."""
    if is_header_alone(path):
        return pd.DataFrame(columns=COLUMNS)  # a detector that found nothing
    table = read_csv(path, KEY)
    found = pd.DataFrame({"id": column_of(table, "id", path, KEY)})
    for name in CORNERS:
        found[name] = _numbers(column_of(table, name, path, KEY), path)
    for name, called in NAMES.items():
        there = next((column for column in called if column in table), None)
        found[name] = table[there] if there else None
    found["score"] = 1.0 if found["score"].isna().all() else _numbers(found["score"], path)
    if found["id"].isna().any():
        raise DataError(f"{KEY}: {path}: the id is empty in line {int(found['id'].isna().idxmax()) + 2}. Fill it in.")
    return found[COLUMNS]


def _numbers(column: "pd.Series[str]", path: str) -> "pd.Series[float]":
    numbers = pd.to_numeric(column, errors="coerce")
    bad = ~np.isfinite(numbers.to_numpy(dtype=float))
    if bad.any():
        line = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"{KEY}: {path}: column {column.name!r} is {column.iloc[line]!r} in line {line + 2}. Write a number."
        )
    return numbers


def _coco_results(path: str) -> pd.DataFrame:
    """Read boxes from COCO results: a list of image_id, category_id, bbox and score."""
    content = read_json(path, KEY, "COCO results are needed.")
    if not isinstance(content, list):
        raise DataError(
            f"{KEY}: {path} is not a list, as COCO results are: [{{image_id, category_id, bbox, score}}, ...]."
        )
    return pd.DataFrame([_result(entry, f"{KEY}: {path}: entry {n + 1}") for n, entry in enumerate(content)],
                        columns=COLUMNS)  # fmt: skip


def _result(entry: Any, where: str) -> tuple[Any, ...]:
    """COLUMNS of one box."""
    known: dict[str, Any] = entry if isinstance(entry, dict) else {}
    bbox, score = known.get("bbox"), known.get("score", 1.0)
    numbers = [*bbox, score] if isinstance(bbox, list) else []
    if len(numbers) != 5 or "image_id" not in known or not all(_is_number(number) for number in numbers):
        raise DataError(f"{where} is {str(entry)[:80]}; it needs image_id, bbox [x, y, width, height] and score.")
    x, y, width, height = map(float, numbers[:4])
    return str(known["image_id"]), str(known.get("category_id", "")), float(score), x, y, x + width, y + height


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
