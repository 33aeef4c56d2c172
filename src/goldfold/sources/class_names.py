"""Names of classes that a table gives as numbers or codes, from a separate file."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from goldfold.base.errors import DataError, nearest
from goldfold.base.plain_yaml import TextLoader, load_yaml
from goldfold.base.regular import read_text
from goldfold.targets.label_sets import from_text, to_text

KEY = "data.class_names"
NUMBER_FIRST = re.compile(r"(\d+)\s*[\s,;:=]\s*(\S.*)")
NUMBER_LAST = re.compile(r"(.*[^\s,;:=])\s*[\s,;:=]\s*(\d+)")
NAME_WORDS = ("name", "class", "label", "title", "category")
LISTS = ("names", "classes", "categories", "labels")
"""Keys under which JSON and YAML files store classes."""
Table = dict[str, list[str]]


def named(column: "pd.Series[str]", setting: str | Mapping[str, str]) -> "pd.Series[str]":
    """Replace numbers or codes in labels, or in label sets (`goldfold.targets.label_sets`), by class names.

    Args:
        setting: a file, or a mapping with ``file`` and its columns ``id`` and ``name``.

    Raises:
        DataError: the file cannot be read, or does not give every label a distinct name.
    """
    are_sets = column.name == "labels"
    present = dict.fromkeys(label for text in column.dropna() for label in (from_text(text) if are_sets else [text]))
    path, id, name = (
        (setting, None, None) if isinstance(setting, str) else (setting["file"], setting["id"], setting["name"])
    )
    names = _names(_table(path, id is not None), list(present), path, id, name)
    if are_sets:
        return column.map(lambda text: to_text(names[label] for label in from_text(text)), na_action="ignore")
    return column.map(names)


def _names(table: Table, labels: Sequence[str], path: str, id: str | None, name: str | None) -> dict[str, str]:
    """Name of each label.

    Raises:
        DataError: the columns are ambiguous, a label has no name, or two have the same.
    """
    ids, names = _chosen(table, labels, path, id, name)
    found: dict[str, str] = {}
    for own, called in zip(table[ids], table[names], strict=True):
        if found.setdefault(own, called) != called:
            raise DataError(f"{KEY}: {path} calls {own!r} {found[own]!r} and {called!r}. Give it one name.")
    for label in labels:
        if not found.get(label):
            raise DataError(
                f"{KEY}: {path} has no name for label {label!r}; {nearest(label, found)}it names "
                f"{', '.join(list(found)[:20])}. Add it, or remove data.class_names."
            )
    known = {label: found[label] for label in labels}
    first: dict[str, str] = {}
    for label, name in known.items():
        if first.setdefault(name, label) != label:
            raise DataError(
                f"{KEY}: {path} calls {first[name]!r} and {label!r} both {name!r}. Give each class its own name."
            )
    return found


def _chosen(table: Table, labels: Sequence[str], path: str, id: str | None, name: str | None) -> tuple[str, str]:
    """Columns of ids and of names."""
    for column in (id, name):
        if column is not None and column not in table:
            raise DataError(
                f"{KEY}: {path} has no column {column!r}: {nearest(column, table)}it has: {', '.join(table)}."
            )
    if id is not None and name is not None:
        return id, name
    wanted = set(labels)
    numbers = [column for column, values in table.items() if _are_numbers(values)]
    if len(table) == 2 and len(numbers) == 1 and wanted & set(table[numbers[0]]):
        return numbers[0], next(column for column in table if column != numbers[0])
    known = [column for column, values in table.items() if wanted <= set(values)]
    single = [column for column, values in table.items() if len(set(values)) == len(values)]
    most = max(single, key=lambda column: len(wanted & set(table[column])), default="")
    ids = known[0] if len(known) == 1 else "" if known else most
    is_plain = ids in single and (_are_numbers(table[ids]) or single == [ids, *single[1:2]])  # codes come before names
    others = [column for column in single if column != ids and not _are_numbers(table[column])]
    telling = [column for word in NAME_WORDS for column in others if word in column.lower()]
    chosen = others if len(others) == 1 else telling
    if not is_plain or not chosen or not wanted & set(table[ids]):
        raise DataError(
            f"{KEY}: which columns of {path} are the ids (such as {', '.join(labels[:3])}) and their names? It has: "
            f"{', '.join(table)}. Write data.class_names: {{file: {path}, id: ..., name: ...}}, or remove it if the labels "
            f"are names."
        )
    return ids, chosen[0]


def _are_numbers(values: Sequence[str]) -> bool:
    return all(map(str.isdigit, values))


def _table(path: str, has_header: bool) -> Table:
    """Columns of a file of names; for a plain list ``id``, counted from 0, and ``name``.

    Raises:
        DataError: it cannot be read, or has another form.
    """
    suffix = Path(path).suffix.lower()
    try:
        text = read_text(path)
        if suffix == ".json":
            return _of_content(json.loads(text, parse_int=str, parse_float=str))
        if suffix in (".yaml", ".yml"):
            return _of_content(load_yaml(text, TextLoader))
        if suffix in (".csv", ".tsv"):
            return _of_rows(
                list(csv.reader(text.splitlines(), delimiter="\t" if suffix == ".tsv" else ",")), has_header
            )
        return _of_lines([line.strip() for line in text.splitlines() if line.strip()])
    except (OSError, ValueError, RecursionError, yaml.YAMLError, csv.Error) as error:
        raise DataError(
            f"{KEY}: cannot read {path}: {error}. Name a table with the columns id and name, a list with one name per line, or "
            f"JSON {{id: name}}."
        ) from error


def _of_content(content: Any) -> Table:
    """Table of JSON or YAML: names, {id: name}, {name: id}, records, or one of these under a key such as ``names``."""
    if isinstance(content, dict) and (
        inner := [content[key] for key in LISTS if isinstance(content.get(key), (list, dict))]
    ):
        content = inner[0]
    if isinstance(content, dict) and content and all(isinstance(value, dict) for value in content.values()):
        content = [{"id": key, **value} for key, value in content.items()]
    if isinstance(content, list) and content and all(isinstance(one, dict) for one in content):
        shared = [key for key in content[0] if all(isinstance(one.get(key), str) for one in content)]
        return {key: [one[key] for one in content] for key in shared}
    if isinstance(content, list) and content and all(isinstance(one, str) for one in content):
        return _counted(content)
    if isinstance(content, dict) and content and all(isinstance(value, str) for value in content.values()):
        return _two(list(content), list(content.values()))
    raise ValueError("it is neither a list of names nor {id: name}")


def _of_rows(rows: list[list[str]], has_header: bool) -> Table:
    """Table of CSV rows; there is no header if the first row has a number where all others have one."""
    rows = [[cell.strip() for cell in row] for row in rows if any(map(str.strip, row))]
    if not rows or len({len(row) for row in rows}) > 1:
        raise ValueError("it has no rows" if not rows else "its rows differ in the number of fields")
    columns = list(zip(*rows, strict=True))
    numbers = [column for column in columns if _are_numbers(column[1:])]
    is_bare = not has_header and (
        any(column[0].isdigit() for column in numbers)
        if numbers
        else len(columns) == 1 and not any(word in columns[0][0].lower() for word in NAME_WORDS)
    )
    if is_bare:
        return (
            _counted(columns[0])
            if len(columns) == 1
            else {f"column {n}": list(own) for n, own in enumerate(columns, 1)}
        )
    if len(columns) == 1:
        return _counted(columns[0][1:])
    return {own[0]: list(own[1:]) for own in columns}


def _of_lines(lines: list[str]) -> Table:
    """Table of text lines: one name per line, counted from 0, or a number before or after each name."""
    if not lines:
        raise ValueError("it is empty")
    for form, number, name in ((NUMBER_FIRST, 1, 2), (NUMBER_LAST, 2, 1)):
        found = [match for line in lines if (match := form.fullmatch(line))]
        numbers, names = [match[number] for match in found], [match[name] for match in found]
        if len(found) == len(lines) and len(set(numbers)) == len(set(names)) == len(lines):
            return _two(numbers, names)
    return _counted(lines)


def _counted(names: Sequence[str]) -> Table:
    return _two([str(number) for number in range(len(names))], list(names))


def _two(ids: list[str], names: list[str]) -> Table:
    """Ids and names, swapped if they were given the other way round."""
    if _are_numbers(names) and not _are_numbers(ids):
        ids, names = names, ids
    return {"id": [id.strip() for id in ids], "name": [name.strip() for name in names]}
