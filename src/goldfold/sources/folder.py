"""Folders of classes, flat or nested."""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.images.files import below, images_below, without_suffix
from goldfold.images.stacks import MISSING
from goldfold.sources import class_folders, listed_names
from goldfold.sources.class_folders import TRAIN_NAMES, VALIDATION_NAMES, Level, parts_to_pool
from goldfold.sources.groups import with_groups
from goldfold.sources.placed import with_extra
from goldfold.sources.stacked import images
from goldfold.sources.table import answers
from goldfold.sources.unlisted import pool_beside, report_unlisted

__all__ = ["TRAIN_NAMES", "VALIDATION_NAMES", "parts_to_pool", "read"]


@dataclass(frozen=True)
class _Reading:
    """Settings for reading a folder of classes; see `goldfold.config.data.Folder`."""

    class_level: Level
    group_level: int | None
    stack: list[str] | None
    pattern: str


def read(
    train: str,
    test: str | None = None,
    test_answers: str | None = None,
    unlabeled: str | None = None,
    stack: list[str] | None = None,
    stack_pattern: str = "{id}_{channel}",
    extra_train: str | None = None,
    groups: str | None = None,
    class_level: Level = "leaf",
    group_level: int | None = None,
    train_list: str | list[str] | None = None,
    test_list: str | list[str] | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables of an image folder; ids are relative paths without suffix, for a stack also without its channel.

    If ``train`` holds the folders ``train`` and ``val`` (or ``valid``, ``validation``), both are pooled and split into
    folds. ``groups`` is a CSV with the columns id and group.

    Args:
        train_list, test_list: text files that name the images; without ``test``, test images are below ``train``.
    """
    how = _Reading(class_level, group_level, stack, stack_pattern)
    held_out = _test(train, test, test_list, how)
    rows = _listed(train, train_list, how) if train_list else _of_folder(train, how, "data.train", held_out)
    tables = {"train": with_groups(rows, groups)}
    if extra_train is not None:
        tables["train"] = with_extra(tables["train"], _of_folder(extra_train, how, "data.extra_train"))
    if held_out is not None:
        tables["test"] = held_out
        _refuse_both(tables if train_list or test_list else {})
    if unlabeled is not None:
        tables["unlabeled"] = pool_beside(unlabeled, tables, stack, stack_pattern)
    if train_list or test_list:
        report_unlisted([train if train_list else None, test if test_list else None], tables, stack, stack_pattern)
    return tables | answers(test_answers)


def _test(train: str, test: str | None, lists: str | list[str] | None, how: _Reading) -> pd.DataFrame | None:
    """id and path of the test images."""
    if lists is not None:
        root = train if test is None else test
        rows = [
            (without_suffix(name), below(root) + name) for name in listed_names.listed(lists, root, "data.test_list")
        ]
    elif test is not None:
        rows = images(test, "data.test", how.stack, how.pattern)
    else:
        return None
    return pd.DataFrame(rows, columns=["id", "path"])


def _refuse_both(tables: dict[str, pd.DataFrame]) -> None:
    both = sorted(set.intersection(*(set(table["path"]) for table in tables.values()))) if tables else []
    if both:
        raise DataError(
            f"data.train_list: {len(both)} training images are test images too, first {both[0]}. Name each in one list."
        )


def _of_folder(root: str, how: _Reading, key: str, held_out: pd.DataFrame | None = None) -> pd.DataFrame:
    """Images of all class folders, without test images."""
    parts = parts_to_pool(class_folders.folders_in(Path(root)), root) if os.path.isdir(root) else None
    listed: list[tuple[str, str, str]] = []
    for part in parts or [""]:
        names = images_below(Path(root) / part, key)
        class_folders.refuse_empty(Path(root) / part, names, how.class_level, key)
        listed += [(id, path, part) for id, path in images(Path(root) / part, key, how.stack, how.pattern)]
    taken = set() if held_out is None else set(held_out["path"])
    return _labelled([row for row in listed if row[1] not in taken], root, how, key)


def _listed(root: str, lists: str | list[str], how: _Reading) -> pd.DataFrame:
    """The images that lists name; if all are in folders of a fixed split, these folders are not part of the class."""
    names = listed_names.listed(lists, root, "data.train_list")
    tops = [name.partition("/")[0] for name in names]
    is_parted = all(class_folders.is_part(top) for top in tops) and any(name.count("/") > 1 for name in names)
    rows = []
    for name, top in zip(names, tops, strict=True):
        id = without_suffix(name).removesuffix(MISSING)
        rows.append((id.removeprefix(f"{top}/") if is_parted else id, below(root) + name, top if is_parted else ""))
    return _labelled(rows, root, how, "data.train_list")


def _labelled(rows: list[tuple[str, str, str]], root: str, how: _Reading, key: str) -> pd.DataFrame:
    """id, path, label and, with ``group_level``, group of images (id within the part, path, part)."""
    table = pd.DataFrame([(f"{part}/{id}".lstrip("/"), path) for id, path, part in rows], columns=["id", "path"])
    folders = [(PurePosixPath(id).parts[:-1], path) for id, path, _ in rows]
    table["label"] = [class_folders.class_of(own, how.class_level, path, key) for own, path in folders]
    if how.class_level == "leaf":
        table["label"] = table["label"].map(class_folders.leaves(set(table["label"]), root, key))
    if how.group_level is not None:
        table["group"] = [class_folders.group_of(own, how.group_level, path, key) for own, path in folders]
    return table
