"""Cases of several images in tables: columns that list the images of each case by view."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from goldfold.base.errors import ConfigError

PATHS, DIGESTS = "images", "images_sha256"
"""Columns: JSON lists of a case's files, and of their digests, by view; null for a missing image."""
ROIS = "images_roi"
"""Optional column: a JSON list of the crops of a case's images by view, empty for a whole image; null for a missing one."""
VIEW_NAMES = "view_names"
"""Optional column of the training table: a JSON list of the views' names, the same in each row."""
PASTING = ("cutmix", "mosaic")
"""Entries of ``train.mix`` that put parts of several images together."""
CASE, VIEW = "case", "view"
"""Columns of a table of images: the case's id, and the number of the view from 0."""


def are_in(table: pd.DataFrame) -> bool:
    """True if the rows of a table are cases of several images, False if each row is one image."""
    return PATHS in table


def word(table: pd.DataFrame) -> str:
    """Noun for a row of a table: ``case`` or ``image``."""
    return "case" if are_in(table) else "image"


def lacking(table: pd.DataFrame) -> str | None:
    """First case that lacks an image for some view; None if there is none."""
    texts = table[PATHS] if are_in(table) else []
    return next((id for id, text in zip(table["id"], texts, strict=False) if None in from_text(text)), None)


def refuse_pasting(mixes: Iterable[str], lacking: str | None, where: str = "") -> None:
    """Refuse to mix parts of images of cases of which one lacks a view.

    Args:
        mixes: names of the entries of a model's ``train.mix``.
        lacking: such a case, None if there is none.
        where: the model in the config, for the error.

    Raises:
        ConfigError: both are there.
    """
    pasting = [name for name in mixes if name in PASTING]
    if pasting and lacking is not None:
        raise ConfigError(
            f"{where}train: {pasting[0]}: case {lacking!r} lacks one of its views, so there is nothing to paste or to paste "
            f"into. Use mixup instead."
        )


def columns_of(table: pd.DataFrame) -> list[str]:
    """Columns that list the images of cases; empty without cases."""
    return [PATHS, DIGESTS] if are_in(table) else []


def to_text(values: Sequence[str | None]) -> str:
    """Write a cell of `PATHS` or `DIGESTS`."""
    return json.dumps(list(values), ensure_ascii=False)


def from_text(text: str) -> list[str | None]:
    """Inverse of `to_text`."""
    values: list[str | None] = json.loads(text)
    return values


def with_paths(table: pd.DataFrame, paths: Sequence[Sequence[str | None]]) -> pd.DataFrame:
    """Add the images of each case; ``path`` is the first of them, which represents the case."""
    first = [next(path for path in own if path is not None) for own in paths]
    return table.assign(path=first, **{PATHS: list(map(to_text, paths))})


def view_names(train: pd.DataFrame) -> list[str] | None:
    """Names of the views of training cases; None if they are numbered, or each case is one image."""
    names = from_text(train[VIEW_NAMES].iloc[0]) if VIEW_NAMES in train else []
    return [name for name in names if name is not None] or None


def files(tables: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """Paths of all images of some tables."""
    for table in tables.values():
        yield from each(table)["path"]


def each(table: pd.DataFrame) -> pd.DataFrame:
    """Expand to one row per image, with its ``path`` and `VIEW` number; unchanged without cases."""
    if not are_in(table):
        return table
    listed = [
        [(number, path) for number, path in enumerate(from_text(text)) if path is not None] for text in table[PATHS]
    ]
    rows = [row for row, own in enumerate(listed) for _ in own]
    found = [image for own in listed for image in own]
    of_each = table.iloc[rows].reset_index(drop=True)
    return of_each.assign(path=[path for _, path in found], **{VIEW: [number for number, _ in found]})


def named(table: pd.DataFrame) -> pd.DataFrame:
    """Expand to one row per image, with an id of its own, `CASE` and `VIEW`; unchanged without cases."""
    if not are_in(table):
        return table
    images = each(table)
    ids = [f"{case}#{view}" for case, view in zip(images["id"], images[VIEW], strict=True)]
    return images.assign(**{CASE: images["id"], "id": ids})


def by_case(tables: Sequence[pd.DataFrame]) -> dict[str, list[str | None]]:
    """Ids of each case's images by view, None for a missing one; empty if each case is one image.

    Args:
        tables: results of `named`; views are counted over all of them.
    """
    found: dict[str, dict[int, str]] = {}
    for table in tables:
        if CASE in table:
            for id, case, view in zip(table["id"], table[CASE], table[VIEW].astype(int), strict=True):
                found.setdefault(case, {})[view] = id
    n = 1 + max((view for own in found.values() for view in own), default=0)
    return {case: [own.get(view) for view in range(n)] for case, own in found.items()}


def gathered(images: pd.DataFrame) -> pd.DataFrame:
    """Invert `each`, for the images that remain, in their order.

    Args:
        images: one row per image, with ``path`` and ``sha256``.

    Returns:
        One row per case, with the columns of its first image, `PATHS` and `DIGESTS`; ``sha256`` covers all its images.
    """
    if not are_in(images):
        return images
    first = images.drop_duplicates("id").drop(columns=VIEW).reset_index(drop=True)
    n_views = dict(zip(first["id"], (len(from_text(text)) for text in first[PATHS]), strict=True))
    paths, digests = ({id: list[str | None]([None] * n) for id, n in n_views.items()} for _ in range(2))
    for id, view, path, digest in zip(images["id"], images[VIEW], images["path"], images["sha256"], strict=True):
        paths[id][view], digests[id][view] = path, digest
    by_view = [to_text(digests[id]) for id in first["id"]]
    whole = [hashlib.sha256(text.encode()).hexdigest() for text in by_view]
    return first.assign(sha256=whole, **{PATHS: [to_text(paths[id]) for id in first["id"]], DIGESTS: by_view})


def as_cached(table: pd.DataFrame) -> pd.DataFrame:
    """Images as the cache stores them: `named`, with the digest of each image, and its ``roi`` if images are cropped."""
    if not are_in(table):
        return table
    images = named(table)
    of_images = {"sha256": DIGESTS} | ({"roi": ROIS} if ROIS in table else {})
    return images.assign(
        **{
            name: [from_text(text)[view] for text, view in zip(images[column], images[VIEW], strict=True)]
            for name, column in of_images.items()
        }
    )


def with_crops(table: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Add the crops of the images of each case.

    Args:
        images: `each` of the table, with ``roi``.
    """
    rois: dict[str, list[str | None]] = {
        id: [None] * len(from_text(text)) for id, text in zip(table["id"], table[PATHS], strict=True)
    }
    for id, view, roi in zip(images["id"], images[VIEW], images["roi"], strict=True):
        rois[id][view] = roi
    return table.assign(**{ROIS: [to_text(rois[id]) for id in table["id"]]})


def first_of_each(images: pd.DataFrame) -> pd.DataFrame:
    """First image of each case in a result of `named`, with the case's id; unchanged without cases."""
    if CASE not in images:
        return images
    first = images.drop_duplicates(CASE).reset_index(drop=True)
    return first.assign(id=first[CASE]).drop(columns=[CASE, VIEW, PATHS], errors="ignore")
