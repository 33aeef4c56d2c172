"""A folder of images and a folder of their masks."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.images.files import images_below, pool_of, without_suffix
from goldfold.images.nearest import nearest_name
from goldfold.sources.groups import with_groups
from goldfold.targets.class_files import CLASS, ClassFiles, expanded
from goldfold.targets.mask_values import ignored


def read(
    train: str | list[str],
    masks: str | list[str],
    mask_suffix: str = "",
    test: str | None = None,
    test_answers: str | None = None,
    unlabeled: str | None = None,
    groups: str | None = None,
    classes: list[str] | None = None,
    ignore_value: int | list[int] | None = None,
    overlap: bool = False,
    absent_class: str = "flaw",
) -> dict[str, pd.DataFrame]:
    """Tables of images and masks; ids are relative paths without suffix, ``mask`` is a path, a text, or missing.

    The mask of ``a/1.jpg`` is ``a/1<mask_suffix>`` below ``masks``, with any image suffix. If ``train`` and ``masks`` are
    the same folder, files whose names end in ``mask_suffix`` are the masks. Several folders of images, each with its folder
    of masks, are pooled; ids then begin with the part of the paths in which the folders differ.

    If ``{class}`` is in ``masks`` or ``mask_suffix``, each class has such a file, and ``mask`` is a text of
    `goldfold.targets.class_files`.

    Args:
        test_answers: folder of the masks of the test images; they become the split ``answers`` (id, mask).
        groups: CSV with the columns id and group.
        classes, ignore_value, overlap, absent_class: for files of classes.

    Raises:
        DataError: a mask has no image or an image two masks, or test images lack an answer.
    """
    names = _Names(mask_suffix, classes or [], ignored(ignore_value), overlap, absent_class == "empty")
    tables = {"train": with_groups(_together(train, masks, names), groups)}
    if test is not None:
        tables["test"] = pd.DataFrame(_images(test, test_answers, names, "data.test"), columns=["id", "path"])
    if test_answers is not None:
        if test is None:
            raise DataError("data.test_answers is set, but there are no test images: set data.test, or remove it.")
        tables["answers"] = complete(_paired(test, test_answers, names, "data.test", "data.test_answers"))
    if unlabeled is not None:
        tables["unlabeled"] = pd.DataFrame(pool_of(unlabeled, "data.unlabeled"), columns=["id", "path"])
    return tables


@dataclass(frozen=True)
class _Names:
    """Names of the masks of images, and of the files of their classes."""

    suffix: str
    classes: Sequence[str] = ()
    ignored: Sequence[int] = ()
    overlap: bool = False
    may_lack: bool = False
    """Whether an image without the file of a class is without this class."""

    def merged(self, files: Mapping[str, str | None]) -> str | None:
        """Return the mask of the file of each class, by name; None if there is no file."""
        known = {str(1 + number): path for number, name in enumerate(self.classes) if (path := files[name]) is not None}
        lacking = [name for name, path in files.items() if path is None and not self.may_lack]
        text = ClassFiles(known, len(self.classes), self.overlap, self.ignored, lacking[0] if lacking else "").to_text()
        return text if known else None


def _together(train: str | Sequence[str], masks: str | Sequence[str], names: _Names) -> pd.DataFrame:
    """id, path and mask of every image of one folder, or of several.

    Raises:
        DataError: two folders have an image of the same id.
    """
    if isinstance(train, str) or isinstance(masks, str):
        return _paired(str(train), str(masks), names, "data.train", "data.masks")
    starts = prefixes(train)
    tables = [_paired(*pair, names, "data.train", "data.masks") for pair in zip(train, masks, strict=True)]
    table = pd.concat(
        [own.assign(id=start + own["id"]) for own, start in zip(tables, starts, strict=True)], ignore_index=True
    )
    if (twice := table["id"][table["path"].map(os.path.abspath).duplicated()]).size:
        raise DataError(f"data.train: image {twice.iloc[0]!r} is in two of the folders. Name each folder once.")
    return table


def prefixes(folders: Sequence[str]) -> list[str]:
    """Parts of paths in which folders differ: ``train/`` and ``val/`` for ``raw/train/images`` and ``raw/val/images``."""
    parts = [Path(os.path.abspath(folder)).parts for folder in folders]
    if len(parts) == 1:
        return [""]
    while len({own[:1] for own in parts}) == 1 and all(parts):
        parts = [own[1:] for own in parts]
    while all(parts) and len({own[-1] for own in parts}) == 1:
        parts = [own[:-1] for own in parts]
    return ["/".join(own) + "/" if own else "" for own in parts]


def _paired(images: str, masks: str, names: _Names, images_key: str, masks_key: str) -> pd.DataFrame:
    """id, path and mask of every image."""
    if CLASS in masks or CLASS in names.suffix:
        return _of_classes(images, masks, names, images_key, masks_key)
    suffix = names.suffix
    if not suffix and Path(images).resolve() == Path(masks).resolve():
        raise DataError(
            f"{masks_key} is the folder of {images_key}, {images}, so the masks are unclear. Set data.mask_suffix to the "
            f"end of their names, e.g. _mask."
        )
    table = pd.DataFrame(_images(images, masks, names, images_key), columns=["id", "path"])
    of_id = _masks(masks, images, suffix, masks_key)
    _refuse_strays(of_id, table, images, suffix, masks_key)
    return table.assign(mask=[of_id.get(id) for id in table["id"]])


def _refuse_strays(of_id: Mapping[str, str], table: pd.DataFrame, images: str, suffix: str, masks_key: str) -> None:
    """Refuse masks without an image."""
    strays = sorted(set(of_id) - set(table["id"]))
    if strays:
        raise DataError(
            f"{masks_key}: {len(strays)} masks have no image below {images}, first {of_id[strays[0]]}. "
            f"{nearest_name(strays[0], table['id'], 'the nearest image is')}Add the images, remove the masks, or correct "
            f"data.mask_suffix: {suffix!r}."
        )


def _of_classes(images: str, masks: str, names: _Names, images_key: str, masks_key: str) -> pd.DataFrame:
    """id, path and mask of every image, merged of the files of its classes."""
    table = pd.DataFrame(_images(images, masks, names, images_key), columns=["id", "path"])
    found = {}
    for name in names.classes:
        suffix = names.suffix.replace(CLASS, name)
        found[name] = _masks(masks.replace(CLASS, name), images, suffix, masks_key)
        _refuse_strays(found[name], table, images, suffix, masks_key)
    return table.assign(mask=[names.merged({name: own.get(id) for name, own in found.items()}) for id in table["id"]])


def _images(images: str, masks: str | None, names: _Names, key: str) -> list[tuple[str, str]]:
    """(id, path) of the images, without masks below the same folder."""
    pool = pool_of(images, key)
    for folder in [] if masks is None else expanded([masks], names.classes):
        suffixes = tuple(expanded([names.suffix], names.classes))
        if Path(images).resolve() == Path(folder).resolve():
            pool = [(id, path) for id, path in pool if not id.endswith(suffixes)]
        elif (inner := _inner_folder(folder, images)) is not None:
            pool = [(id, path) for id, path in pool if not id.startswith(inner)]
    return pool


def _masks(masks: str, images: str, suffix: str, key: str) -> dict[str, str]:
    """Path of the mask of each image id."""
    inner = _inner_folder(images, masks)
    found: dict[str, str] = {}
    for name in images_below(masks, key):
        path, stem = str(Path(masks) / name), without_suffix(name)
        if not stem.endswith(suffix) or (inner is not None and name.startswith(inner)):
            continue
        id = stem.removesuffix(suffix)
        if id in found:
            raise DataError(f"{key}: image {id!r} has two masks, {found[id]} and {path}. Remove one.")
        found[id] = path
    if not found:
        raise DataError(f"{key}: no name below {masks} ends in {suffix!r}. Correct data.mask_suffix.")
    return found


def _inner_folder(folder: str, root: str) -> str | None:
    """``masks/`` for the folder ``data/masks`` below ``data``; None if it is not below."""
    inner, outer = Path(os.path.abspath(folder)), Path(os.path.abspath(root))
    return f"{inner.relative_to(outer).as_posix()}/" if outer in inner.parents else None


def complete(answers: pd.DataFrame) -> pd.DataFrame:
    """id and mask of the test images.

    Raises:
        DataError: an image has no mask.
    """
    lacks = answers["mask"].isna()
    if lacks.any():
        raise DataError(
            f"data.test_answers: {int(lacks.sum())} of {len(answers)} test images have no mask, first "
            f"{answers['id'][lacks].iloc[0]!r}. Add them, or remove data.test_answers."
        )
    return answers[["id", "mask"]]
