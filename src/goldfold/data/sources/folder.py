"""One folder a class."""

from pathlib import Path

import pandas as pd

from goldfold.data.files import images_below, pool_of, without_suffix
from goldfold.runtime.errors import DataError

TRAIN_NAMES = frozenset({"train"})
VALIDATION_NAMES = frozenset({"val", "valid", "validation"})


def read(train: str, test: str | None = None, unlabeled: str | None = None) -> dict[str, pd.DataFrame]:
    """Tables of an image folder; ids are relative paths without suffix.

    Where ``train`` holds the folders ``train`` and ``val`` (or ``valid``, ``validation``), both are pooled: the folds
    take the place of the fixed split.
    """
    names = {path.name for path in Path(train).iterdir() if path.is_dir()} if Path(train).is_dir() else set()
    is_split = bool(names & TRAIN_NAMES) and names <= TRAIN_NAMES | VALIDATION_NAMES | {"test"}
    parts = sorted(names & (TRAIN_NAMES | VALIDATION_NAMES)) if is_split else [""]
    tables = {"train": pd.DataFrame([row for part in parts for row in _labelled(Path(train), part)])}
    for split, root in (("test", test), ("unlabeled", unlabeled)):
        if root is not None:
            tables[split] = pd.DataFrame(pool_of(root, f"data.{split}"), columns=["id", "path"])
    return tables


def _labelled(root: Path, part: str) -> list[dict[str, str]]:
    rows = []
    for name in images_below(root / part, "data.train"):
        folders = Path(name).parts[:-1]
        if not folders:
            raise DataError(
                f"data.train: {root / part / name} lies outside the class folders. Move it into a folder named after "
                f"its class, or use source: csv."
            )
        rows.append(
            {"id": without_suffix(f"{part}/{name}".lstrip("/")), "path": str(root / part / name), "label": folders[0]}
        )
    return rows
