"""Tables written as JSON: a label for each path, a record for each id, or a list of records."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.base.regular import read_text
from goldfold.images.files import SUFFIXES

LINES = (".jsonl", ".ndjson")
SPLIT_WORDS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing"})
SUFFIXES_OF_JSON = (".json", *LINES)
FORMS = "{path: label}, {id: {path: ..., label: ...}}, or a list of records [{path: ..., label: ...}]"
Record = dict[str, Any]


@dataclass(frozen=True)
class Columns:
    """Names of columns that resolve ambiguous JSON."""

    id: str = "id"
    label: str = "label"
    separator: str | None = None
    """Separator of several labels in a cell."""


def is_json(path: str | Path) -> bool:
    """Return whether a table is JSON, by its suffix."""
    return Path(path).suffix.lower() in SUFFIXES_OF_JSON


def read_records(path: str | Path, key: str, columns: Columns) -> pd.DataFrame:
    """A table of text with one row per record; absent keys, null and empty text are missing.

    Raises:
        DataError: the file is missing, not JSON, or of another form; or a label is a list without a separator.
    """
    records = _records(_content(Path(path), key), str(path), key, columns)
    if not records:
        raise DataError(f"{key}: {path} has no records.")
    names = list(dict.fromkeys(str(name).strip() for record in records for name in record))
    rows = [
        [_cell(record.get(name), name, columns, f"{path}: record {number}") for name in names]
        for number, record in enumerate(({str(own).strip(): of for own, of in one.items()} for one in records), start=1)
    ]
    table = pd.DataFrame(rows, columns=names, dtype=object).astype("str")
    table.attrs["rows"] = ("record", range(1, len(rows) + 1))
    return table


def _content(path: Path, key: str) -> Any:
    def parsed(text: str) -> Any:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_object)

    try:
        text = read_text(path)
        if path.suffix.lower() in LINES:
            return [parsed(line) for line in text.splitlines() if line.strip()]
        return parsed(text)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{key}: cannot read {path} as JSON: {error}. Write {FORMS}, as UTF-8.") from error


def _object(pairs: list[tuple[str, Any]]) -> Record:
    found: Record = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} is given twice")
        found[name] = value
    return found


def _records(content: Any, path: str, key: str, columns: Columns) -> list[Record]:
    """The records of JSON in one of the forms; see `FORMS`."""
    values = list(content.values()) if isinstance(content, dict) else []
    if _are(content, dict):
        return list(content)
    if len(values) > 1 and {str(name).casefold() for name in content} <= SPLIT_WORDS:
        raise DataError(
            f"{key}: {path} has a table per split ({', '.join(map(repr, content))}). Write each to its own file, or all "
            f"into one CSV with a column split."
        )
    if values and all(isinstance(value, dict) for value in values):
        if columns.id in content and len({tuple(value) for value in values}) == 1:  # as pandas writes columns
            return [{name: content[name][row] for name in content} for row in values[0]]
        taken = any(columns.id in value for value in values)
        return [{"key" if taken else columns.id: id, **value} for id, value in content.items()]
    if values and all(_are_scalars(value) for value in values):
        return _of_lists(content, columns)
    if values and not any(
        isinstance(value, dict) or (isinstance(value, list) and not _are_scalars(value)) for value in values
    ):
        return [{columns.id: id, columns.label: label} for id, label in content.items()]
    inner = [value for value in values if _are(value, dict)]
    if len(inner) == 1:
        return list(inner[0])
    keys = f"; it has the keys {', '.join(map(repr, list(content)[:5]))}" if values else ""
    raise DataError(f"{key}: {path} is not a table of images{keys}. Write {FORMS}.")


def _of_lists(content: Mapping[str, Sequence[Any]], columns: Columns) -> list[Record]:
    """Columns as lists, paths by label, or labels by path."""
    if columns.id in content and len({len(value) for value in content.values()}) == 1:
        return [dict(zip(content, row, strict=True)) for row in zip(*content.values(), strict=True)]
    if all(_is_image(name) for names in content.values() for name in names) and not any(map(_is_image, content)):
        return [{columns.id: name, columns.label: label} for label, names in content.items() for name in names]
    return [{columns.id: name, columns.label: labels} for name, labels in content.items()]


def _are(value: Any, kind: type) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, kind) for one in value)


def _are_scalars(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(one, (dict, list)) for one in value)


def _is_image(name: Any) -> bool:
    return isinstance(name, str) and Path(name).suffix.lower() in SUFFIXES


def _cell(value: Any, name: str, columns: Columns, where: str) -> str | None:
    """A value as text; several labels are joined by the separator."""
    if isinstance(value, list) and name == columns.label and _are_scalars(value):
        return _labels([str(_cell(label, "", columns, where) or "") for label in value], columns.separator, where)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False)
    return (value.strip() or None) if isinstance(value, str) else None


def _labels(labels: list[str], separator: str | None, where: str) -> str | None:
    if separator is None and len(labels) > 1:
        raise DataError(
            f"{where} has {len(labels)} labels. Set data.label_separator (to characters in no label) and task: multilabel, or "
            f"give each image one label."
        )
    if separator is not None and (odd := [label for label in labels if separator in label]):
        raise DataError(
            f"{where}: label {odd[0]!r} contains data.label_separator {separator!r}, so it would be split. Use another."
        )
    return (separator or "").join(labels) or None
