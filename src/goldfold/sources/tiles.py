"""Folders of tiles, sites or patients, each with a folder of images and a folder of masks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.base.words import count, noun
from goldfold.images.files import below, images_below, pool_of, without_suffix
from goldfold.images.nearest import nearest_name
from goldfold.sources.class_folders import is_part, is_test, parts_to_pool
from goldfold.sources.groups import with_groups
from goldfold.sources.masks import complete
from goldfold.sources.unlisted import pool_beside

HERE = "."
"""Name of a folder of images or masks that means the tile's own folder."""


@dataclass(frozen=True)
class _Layout:
    """Folders and names of images and masks in a tile; see `goldfold.config.mask_sources.Tiles`."""

    image_folder: str
    mask_folder: str
    image_pattern: str
    mask_pattern: str


@dataclass(frozen=True)
class _File:
    """An image or a mask: name relative to the root, its tile, and the key that it shares with its partner."""

    name: str
    tile: str
    partner: tuple[str, ...]


@dataclass
class _Found:
    """Files of a root."""

    images: list[_File]
    masks: list[_File]
    others: list[str]
    """Files that are neither."""


def read(
    train: str,
    image_folder: str = "images",
    mask_folder: str = "masks",
    image_pattern: str = "{id}",
    mask_pattern: str = "{id}",
    group_level: int | None = None,
    test: str | None = None,
    test_answers: str | None = None,
    unlabeled: str | None = None,
    groups: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables of tiles; ids are relative paths without suffix, ``mask`` is a path or missing, ``group`` the tile.

    If ``train`` holds the folders ``train`` and ``val`` (or ``valid``, ``validation``), both are pooled. Files below
    ``test``, ``test_answers`` or ``unlabeled`` are not trained on.

    Args:
        test_answers: tiles with the masks of the test images; they become the split ``answers`` (id, mask).
        groups: CSV with the columns id and group, instead of the tiles.

    Raises:
        DataError: a mask has no image or an image two masks, or test images lack an answer.
    """
    how = _Layout(image_folder, mask_folder, image_pattern, mask_pattern)
    apart = [inner for root in (test, test_answers, unlabeled) if root and (inner := _inner(root, train))]
    found = _without_parts(train, _found(train, how, "data.train", [_plain(name, how) or name for name in apart]))
    tables = {"train": _with_tiles(_paired(train, found, "data.train"), found, group_level, groups)}
    if test is not None:
        tables["test"] = _pool(test, how, "data.test", _start(test, train, how))
    if test_answers is not None:
        tables["answers"] = _answers(tables.get("test"), test, test_answers, train, how)
    if unlabeled is not None:
        pool = _pool(unlabeled, how, "data.unlabeled", _start(unlabeled, train, how))
        tables["unlabeled"] = pool[pool["path"].isin(pool_beside(unlabeled, tables)["path"])].reset_index(drop=True)
    return tables


def _start(root: str, train: str, how: _Layout) -> str:
    """``images/test/`` for a root within a folder of images or masks below ``train``; empty for a root of tiles."""
    inner = _inner(root, train) or ""
    names = {how.image_folder.casefold(), how.mask_folder.casefold()}
    return inner if names & set(inner.casefold().split("/")) else ""


def _plain(name: str, how: _Layout) -> str:
    """A path without folders of images and masks, so that it is the same for an image and its mask."""
    names = {how.image_folder.casefold(), how.mask_folder.casefold()}
    return "/".join(part for part in name.split("/") if part.casefold() not in names)


def _found(root: str, how: _Layout, key: str, apart: Sequence[str] = (), start: str = "") -> _Found:
    """Images and masks below ``root``.

    Args:
        apart: roots of other splits, as given by `_plain`, whose files are left out.
        start: path of ``root`` relative to the folder of tiles.
    """
    found = _Found([], [], [])
    for name in images_below(root, key):
        if apart and any(called.startswith(tuple(apart)) for called in (name, _plain(name, how))):
            continue
        if (mask := _file(start + name, how.mask_folder, how.mask_pattern, how.image_folder)) is not None:
            found.masks.append(replace(mask, name=name))
        elif (image := _file(start + name, how.image_folder, how.image_pattern, how.mask_folder)) is not None:
            found.images.append(replace(image, name=name))
        else:
            found.others.append(name)
    if found.others:
        n = count(len(found.others), "image")
        print(
            f"{key}: left out {n} below {root} that {noun(len(found.others), 'is', 'are')} in no folder "
            f"{how.image_folder!r} or {how.mask_folder!r}, or do not match data.image_pattern and mask_pattern, first "
            f"{found.others[0]}",
            flush=True,
        )
    return found


def _file(name: str, folder: str, pattern: str, other: str) -> _File | None:
    """An image or a mask, if the file is in ``folder`` of its tile, not in ``other``, and matches the pattern."""
    path = PurePosixPath(name)
    folders = list(path.parts[:-1])
    matches = re.fullmatch(re.escape(pattern).replace(re.escape("{id}"), "(.+)"), without_suffix(path.name))
    if matches is None:
        return None
    if folder == HERE:
        lies_in_other = other != HERE and other.casefold() in map(str.casefold, folders)
        return None if lies_in_other else _File(name, "/".join(folders) or ".", (*folders, *matches.groups()))
    places = [n for n, own in enumerate(folders) if own.casefold() == folder.casefold()]
    if not places:
        return None
    tile, inner = folders[: places[-1]], folders[places[-1] + 1 :]
    site = tile or [part for part in inner if not is_part(part)]  # images/site 1/ and masks/site 1/
    return _File(name, "/".join(site) or ".", (*tile, *inner, *matches.groups()))


def _without_parts(root: str, found: _Found) -> _Found:
    """Pool training and validation parts, leave out their test set, and remove parts from the names of tiles.

    Raises:
        DataError: another folder is named like a test set.
    """
    tops = {file.name.partition("/")[0] for file in (*found.images, *found.masks) if file.tile != "."}
    parts = parts_to_pool(tops, root)
    if parts is not None:
        start = tuple(f"{part}/" for part in parts)
        images, masks = (
            [file for file in files if file.name.startswith(start)] for files in (found.images, found.masks)
        )
        found = _Found([_File(file.name, _below_part(file), file.partner) for file in images], masks, found.others)
    odd = next((file.name for file in found.images if any(map(is_test, PurePosixPath(file.name).parts[:-1]))), None)
    if odd is not None:
        raise DataError(
            f"data.train: {Path(root) / odd} is in a folder that is named like a test set. Set data.test to that folder, so "
            f"that it is not trained on, or rename it."
        )
    return found


def _below_part(file: _File) -> str:
    """The tile without the folder of its part."""
    part, _, rest = file.tile.partition("/")
    return rest or "." if file.name.startswith(f"{part}/") else file.tile


def _paired(root: str, found: _Found, key: str) -> pd.DataFrame:
    """id, path and mask of every image.

    Raises:
        DataError: there are no images, a mask has no image, or an image has two masks.
    """
    if not found.images:
        first = (found.masks[0].name if found.masks else found.others[0]) if found.masks or found.others else "none"
        raise DataError(
            f"{key}: no images of tiles below {root}; the first file is {first}. Correct data.image_folder or "
            f"data.image_pattern."
        )
    masks: dict[tuple[str, ...], str] = {}
    images = {file.partner: file.name for file in found.images}
    for file in found.masks:
        if (first := masks.setdefault(file.partner, file.name)) != file.name:
            raise DataError(
                f"{key}: image {images.get(file.partner, '?')!r} has two masks, {first} and {file.name}. Remove one."
            )
    strays = [name for partner, name in masks.items() if partner not in images]
    if strays:
        raise DataError(
            f"{key}: {count(len(strays), 'mask has', 'masks have')} no image, first {Path(root) / strays[0]}. "
            f"{nearest_name(strays[0], images.values(), 'the nearest image is')}Add the {noun(len(strays), 'image')}, remove the "
            f"{noun(len(strays), 'mask')}, or correct data.image_pattern and mask_pattern."
        )
    rows = [
        (
            without_suffix(file.name),
            below(root) + file.name,
            below(root) + masks[file.partner] if file.partner in masks else None,
        )
        for file in found.images
    ]
    return pd.DataFrame(rows, columns=["id", "path", "mask"])


def _with_tiles(table: pd.DataFrame, found: _Found, level: int | None, groups: str | None) -> pd.DataFrame:
    """The training table with groups from a CSV, or with the tile, or its first folders, as group."""
    if groups is not None or level == 0:
        return with_groups(table, groups)
    tiles = ["/".join(file.tile.split("/")[:level]) for file in found.images]
    if len(table) > 1 and len(set(tiles)) == 1:
        raise DataError(
            f"data.train: all {len(table)} images are of one tile, {tiles[0]!r}, so they cannot be split by tile. Set "
            f"data.group_level: 0 for no groups, or data.groups."
        )
    return table.assign(group=tiles)


def _pool(root: str, how: _Layout, key: str, start: str) -> pd.DataFrame:
    """id and path of images without masks: those of tiles, or all of a folder without tiles."""
    found = _found(root, how, key, start=start)
    names = [file.name for file in found.images]
    rows = [(without_suffix(name), below(root) + name) for name in names]
    if not found.images and not found.masks:
        rows = pool_of(root, key)
    return pd.DataFrame(rows, columns=["id", "path"])


def _answers(test: pd.DataFrame | None, root: str | None, answers: str, train: str, how: _Layout) -> pd.DataFrame:
    """id and mask of the test images, whose tiles have the same names below both roots."""
    if test is None or root is None:
        raise DataError("data.test_answers is set, but there are no test images: set data.test, or remove it.")
    images = _found(root, how, "data.test", start=_start(root, train, how)).images
    masks = _found(answers, how, "data.test_answers", start=_start(answers, train, how)).masks
    of_partner = {file.partner: below(answers) + file.name for file in masks}
    known = {without_suffix(file.name): of_partner.get(file.partner) for file in images}
    return complete(test.assign(mask=[known.get(id) for id in test["id"]]))


def _inner(folder: str, root: str) -> str | None:
    """``test/`` for the folder ``data/test`` below ``data``; None if it is not below, or is ``data`` itself."""
    inner, outer = Path(folder).absolute(), Path(root).absolute()
    return f"{inner.relative_to(outer).as_posix()}/" if outer in inner.parents else None
