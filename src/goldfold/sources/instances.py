"""One folder per image, with one mask file per object (2018 Data Science Bowl)."""

from pathlib import Path, PurePosixPath

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.images.files import images_below
from goldfold.sources.groups import with_groups
from goldfold.sources.masks import complete


def read(
    train: str,
    test: str | None = None,
    test_answers: str | None = None,
    unlabeled: str | None = None,
    groups: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables of ``<id>/images/<any>.png`` and ``<id>/masks/*.png``; ``mask`` is the folder of masks, or missing.

    Args:
        test_answers: folder with ``<id>/masks`` of the test images; they become the split ``answers`` (id, mask).
        groups: CSV with the columns id and group.

    Raises:
        DataError: a file is in another folder, or test images lack an answer.
    """
    tables = {"train": with_groups(_listed(train, "data.train"), groups)}
    for split, root in (("test", test), ("unlabeled", unlabeled)):
        if root is not None:
            tables[split] = _listed(root, f"data.{split}")[["id", "path"]]
    if test_answers is not None:
        if test is None:
            raise DataError("data.test_answers is set, but there are no test images: set data.test, or remove it.")
        folders = _found(test_answers, "data.test_answers")[1]
        tables["answers"] = complete(tables["test"].assign(mask=tables["test"]["id"].map(folders)))
    return tables


def _listed(root: str, key: str) -> pd.DataFrame:
    """id, path and mask of every image; for masks without image, the name is ``*``, which is then reported as missing."""
    images, masks = _found(root, key)
    there = {id for id, _ in images}
    images += [(id, str(Path(root) / id / "images" / "*")) for id in masks if id not in there]
    return pd.DataFrame([(id, path, masks.get(id)) for id, path in images], columns=["id", "path", "mask"])


def _found(root: str, key: str) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Images (id, path), and folders of masks by id."""
    images, masks = [], {}
    for name in images_below(root, key):
        path = Path(root) / name
        id, kind = PurePosixPath(name).parent.parent.as_posix(), path.parent.name
        if kind not in ("images", "masks") or id == ".":
            raise DataError(
                f"{key}: {path} is neither in <id>/images/ nor in <id>/masks/. Move it, or use source: masks."
            )
        if kind == "images":
            images.append((id, str(path)))
        else:
            masks[id] = str(path.parent)
    return images, masks
