"""One folder a class."""

import os
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from goldfold.data.files import images_below, is_hidden
from goldfold.data.sources.groups import with_groups
from goldfold.data.sources.placed import with_extra
from goldfold.data.sources.stacked import images
from goldfold.data.sources.table import answers
from goldfold.runtime.errors import DataError

TRAIN_NAMES = frozenset({"train"})
VALIDATION_NAMES = frozenset({"val", "valid", "validation"})


def read(
    train: str,
    test: str | None = None,
    test_answers: str | None = None,
    unlabeled: str | None = None,
    stack: list[str] | None = None,
    stack_pattern: str = "{id}_{channel}",
    extra_train: str | None = None,
    groups: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables of an image folder; ids are relative paths without suffix, of a stack without its channels.

    Where ``train`` holds the folders ``train`` and ``val`` (or ``valid``, ``validation``), both are pooled: the folds
    take the place of the fixed split. ``groups`` is a CSV with the columns id and group.
    """
    tables = {"train": with_groups(_of_folder(Path(train), stack, stack_pattern, "data.train"), groups)}
    if extra_train is not None:
        more = _of_folder(Path(extra_train), stack, stack_pattern, "data.extra_train")
        tables["train"] = with_extra(tables["train"], more)
    for split, root in (("test", test), ("unlabeled", unlabeled)):
        if root is not None:
            pool = images(root, f"data.{split}", stack, stack_pattern)
            tables[split] = pd.DataFrame(pool, columns=["id", "path"])
    return tables | answers(test_answers)


def _parts(root: Path) -> list[str]:
    """Sub-folders that hold class folders: ``train`` and ``val`` of a fixed split, or the root itself."""
    names = {path.name for path in _folders(root)} if os.path.isdir(root) else set()
    return parts_to_pool(names, root) or [""]


def parts_to_pool(names: Collection[str], root: str | Path) -> list[str] | None:
    """Names of the folders below ``root`` that belong to a fixed split, without its test set; None where there is none.

    Raises:
        DataError: other names stand beside them.
    """
    names = set(names)
    is_train_alone = bool(names & TRAIN_NAMES) and names <= TRAIN_NAMES | {"test"}
    if not is_train_alone and not (names & TRAIN_NAMES and names & VALIDATION_NAMES):
        return None
    if odd := sorted(names - TRAIN_NAMES - VALIDATION_NAMES - {"test"}):
        raise DataError(
            f"data.train: {root} holds train and validation folders beside {odd[0]!r}, so it is unclear what to "
            f"learn from. Move {odd[0]!r} away, or point data.train at one of them."
        )
    return sorted(names - {"test"})


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not is_hidden(path.name))


def _of_folder(root: Path, stack: list[str] | None, pattern: str, key: str) -> pd.DataFrame:
    return pd.DataFrame([row for part in _parts(root) for row in _labelled(root, part, stack, pattern, key)])


def _labelled(root: Path, part: str, stack: list[str] | None, pattern: str, key: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    names = images_below(root / part, key)
    for folder in _folders(root / part):
        if not any(name.startswith(f"{folder.name}/") for name in names):
            raise DataError(
                f"{key}: class folder {folder} holds no image that goldfold reads. Add images, convert them, or "
                f"remove the folder."
            )
    for id, path in images(root / part, key, stack, pattern):
        folders = Path(id).parts[:-1]
        if not folders:
            raise DataError(
                f"{key}: {path} lies outside the class folders. Move it into a folder named after "
                f"its class, or use source: csv."
            )
        rows.append({"id": f"{part}/{id}".lstrip("/"), "path": path, "label": folders[0]})
    return rows
