"""Find exact and near copies among the images of all tables."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.audit.hamming import Positions, near_blocks
from goldfold.audit.perceptual import FLAT, SIDE_PX
from goldfold.images.cases import CASE
from goldfold.splits.together import components
from goldfold.tables import read_table

COLUMNS = ["cluster", "split", "id", "label", "kind", "distance", "nearest", "splits", "n_labels"]
ORDER = {"train": 0, "test": 1, "unlabeled": 2}
MAX_DISTANCE, MIN_CORRELATION = 6, 0.97
SCENE_SHARE, SCENE_MIN_FILES = 0.03, 4
"""Share and number of the files above which a group of near copies counts as a scene, such as a fixed camera's."""
MAX_CHANGE = 0.35
"""Change, in standard deviations of the thumbnail, at or above which two images of a scene are not copies. Resizing by
half or JPEG of quality 50 changes up to 0.1 in bccd and 0.2 in trashnet; a chess piece on another square changes 1."""
Differ = Callable[[Positions, Positions], NDArray[np.bool_]]
"""(pairs, 2) rows, (pairs,) 1 where the second is mirrored -> (pairs,) True where their targets differ."""
CHUNK = 8192
"""Pairs of thumbnails compared at a time: 8 MB per array."""


def find(
    table: pd.DataFrame,
    max_distance: int | None = MAX_DISTANCE,
    min_correlation: float = MIN_CORRELATION,
    differ: Differ | None = None,
) -> pd.DataFrame:
    """Find all images that have a copy; the result does not depend on the order of the table's rows.

    Images of a fixed camera look alike because of their background: if a chain of copies spans more than `SCENE_SHARE` of
    all images, its images are compared again by what changes between them.

    Args:
        table: split, id (str), sha256; for near copies also hash and thumbnail of `perceptual.signature`; mirrored, if
            mirrored copies count; optionally label and path.
        max_distance: bits by which hashes may differ, 0 to 16; None for exact copies only.
        min_correlation: smallest correlation of the thumbnails of a near copy, -1 to 1.
        differ: True for pairs (index values of ``table``) whose targets differ; these are not near copies.

    Returns:
        One row per image that has a copy. cluster: number from 0; a chain of copies is one cluster. kind: exact (same
        bytes), near or mirrored, and distance (bits): to the nearest copy, whose split:id is ``nearest``. splits: those
        of the cluster, such as ``train+test``. n_labels: number of distinct labels in the cluster. path: as in ``table``.

    Raises:
        DataError: max_distance is out of range.
    """
    rank = table["split"].map(ORDER).fillna(len(ORDER)).astype(int)
    table = table.assign(_rank=rank).sort_values(["_rank", "split", "id"], kind="stable")
    index, table = table.index.to_numpy(), table.reset_index(drop=True)
    n = len(table)
    if not n:
        return pd.DataFrame(columns=[*COLUMNS, "path"])
    same, first = pd.factorize(table["sha256"])[0], np.flatnonzero(~table["sha256"].duplicated())
    exact = np.stack([first[same], np.arange(n)], axis=1)
    best = np.full(n, np.iinfo(np.int64).max)
    group = components(n, exact)
    if max_distance is not None:
        near = _Near(table, max_distance, min_correlation, differ, index)
        group = near.joined(first, exact, best)
        if len(scene := _scene(group, first)):
            inside = np.isin(group, group[scene])
            best[inside] = np.iinfo(np.int64).max
            others = np.stack([np.unique(group, return_index=True)[1][group], np.arange(n)], axis=1)[~inside]
            group = near.joined(scene, np.concatenate([others, exact[inside]]), best, by_change=True)
    return _described(table, group, best, same)


def _scene(group: Positions, first: Positions) -> Positions:
    """Those of the images ``first`` (one per file) whose group is too large to consist of copies."""
    sizes = np.bincount(group[first], minlength=group.max() + 1)
    return first[sizes[group[first]] > max(SCENE_MIN_FILES, SCENE_SHARE * len(first))]


@dataclass(frozen=True)
class _Near:
    """Search for near copies in a sorted table."""

    table: pd.DataFrame
    max_distance: int
    min_correlation: float
    differ: Differ | None
    index: NDArray[Any]

    def joined(self, first: Positions, pairs: Positions, best: NDArray[np.int64], by_change: bool = False) -> Positions:
        """Group of each row, joined by ``pairs`` and by near copies among ``first``; lowers ``best`` to the nearest copy."""
        n = len(self.table)
        for part, distances, mirrored in _near(
            self.table.iloc[first], self.max_distance, self.min_correlation, by_change
        ):
            part = first[part]
            if self.differ is not None and len(part):
                stays = ~self.differ(self.index[part], mirrored)
                part, distances, mirrored = part[stays], distances[stays], mirrored[stays]
            for own, other in (part.T, part.T[::-1]):
                np.minimum.at(best, own, distances * 2 * n + mirrored * n + other)
            group = components(n, np.concatenate([pairs, part]))
            pairs = np.stack([np.unique(group, return_index=True)[1][group], np.arange(n)], axis=1)
        return components(n, pairs)


def of_cases(found: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Turn copies of images into copies of cases; returns ``found`` unchanged if each case is one image.

    Cases share a cluster if a chain of copies connects an image of one with an image of the other. A case whose images
    are alike only among themselves has no copy.

    Args:
        found: result of `find` on ``images``.
        images: split, id, and `goldfold.images.cases.CASE`.
    """
    if CASE not in images or found.empty:
        return found
    of = dict(zip(images["split"] + ":" + images["id"], images["split"] + ":" + images[CASE], strict=True))
    key, nearest = (found["split"] + ":" + found["id"]).map(of), found["nearest"].map(of)
    numbers, names = pd.factorize(key)
    tied = np.stack([numbers, len(names) + found["cluster"].to_numpy()], axis=1)
    group = components(len(names) + int(found["cluster"].max()) + 1, tied)[numbers]
    id = key.str.split(":", n=1).str[1]
    table = found.assign(id=id, nearest=nearest, cluster=group, key=key, is_own=nearest == key)
    table = table.sort_values(["is_own", "distance"], kind="stable").drop_duplicates("key").sort_index()
    table = table[table["cluster"].duplicated(keep=False)].sort_values("cluster", kind="stable").reset_index(drop=True)
    first, last = (table.groupby("cluster")["key"].transform(end) for end in ("first", "last"))
    other = first.where(first != table["key"], last)
    table["nearest"] = table["nearest"].where(~table["is_own"], other)
    table["cluster"] = pd.factorize(table["cluster"])[0]
    table["splits"] = _splits(table["cluster"].to_numpy(), table["split"].to_numpy(object))
    table["n_labels"] = table.groupby("cluster")["label"].transform("nunique").astype(int)
    return table.drop(columns=["key", "is_own"])


def read(path: str | Path) -> pd.DataFrame:
    """Read a result of `find` from the CSV in the manifest folder; a missing label is empty."""
    table = read_table(path)
    return table.astype(dict.fromkeys(("cluster", "distance", "n_labels"), int))


def _near(
    table: pd.DataFrame, max_distance: int, min_correlation: float, by_change: bool = False
) -> Iterator[tuple[Positions, Positions, Positions]]:
    """Yield pairs of rows that look alike, their distances, and 1 where one is mirrored, in blocks."""
    rows = np.flatnonzero(table["hash"].to_numpy(np.uint64) != FLAT)
    table = table.iloc[rows]
    hashes = table["hash"].to_numpy(np.uint64)
    if "mirrored" in table:
        hashes = np.concatenate([hashes, table["mirrored"].to_numpy(np.uint64)])
    pixels = np.frombuffer(b"".join(table["thumbnail"]), np.uint8).reshape(len(table), SIDE_PX, SIDE_PX)
    for pairs, distances in near_blocks(hashes, max_distance):
        is_mirrored = (pairs >= len(table)).astype(np.int64)
        useful = (is_mirrored[:, 0] == 0) & (pairs[:, 0] != pairs[:, 1] - len(table))
        pairs, distances, mirrored = pairs[useful] % max(len(table), 1), distances[useful], is_mirrored[useful, 1]
        correlations, changes = _compared(pixels, pairs, mirrored)
        alike = (correlations >= min_correlation) & ((changes < MAX_CHANGE) if by_change else True)
        yield rows[pairs[alike]], distances[alike], mirrored[alike]


def _compared(
    pixels: NDArray[np.uint8], pairs: Positions, mirrored: Positions
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(pairs,) Pearson correlation of thumbnails at half size, which tolerates a crop of 2 %, and (pairs,) largest change.

    The change is the largest residual of one thumbnail after the other, fitted in brightness and contrast, is subtracted;
    in standard deviations of the thumbnail.
    """
    parts, changes = [np.empty(0, np.float32)], [np.empty(0, np.float32)]
    for start in range(0, len(pairs), CHUNK):
        part, flips = pairs[start : start + CHUNK], mirrored[start : start + CHUNK, None, None] == 1
        left, right = (_halved(pixels[column]) for column in part.T)
        right = np.where(flips, right[:, :, ::-1], right)
        parts.append(np.einsum("nij,nij->n", left, right))
        rest = right - parts[-1][:, None, None] * left
        changes.append(np.abs(rest).max(axis=(1, 2)) * (SIDE_PX // 2))
    return np.concatenate(parts), np.concatenate(changes)


def _halved(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    half = SIDE_PX // 2
    small = pixels.reshape(-1, half, 2, half, 2).mean(axis=(2, 4), dtype=np.float32)
    small -= small.mean(axis=(1, 2), keepdims=True)
    return small / np.maximum(np.sqrt((small**2).sum(axis=(1, 2), keepdims=True)), 1e-6)


def _described(table: pd.DataFrame, group: Positions, best: NDArray[np.int64], same: NDArray[np.int64]) -> pd.DataFrame:
    """Build the table that `find` returns."""
    n, sizes = len(table), np.bincount(same)
    by_bytes, starts = np.argsort(same, kind="stable"), np.cumsum(sizes) - sizes
    rows = np.flatnonzero(np.bincount(group)[group] > 1)
    rows = rows[np.argsort(group[rows], kind="stable")]
    same, best, cluster = same[rows], best[rows], pd.factorize(group[rows])[0]
    is_exact, first = sizes[same] > 1, by_bytes[starts[same]]
    second = by_bytes[starts[same] + is_exact]
    other = np.where(is_exact, np.where(first == rows, second, first), best % n)
    kinds = np.where(is_exact, "exact", np.where(best % (2 * n) >= n, "mirrored", "near"))
    nearest = table["split"].to_numpy(object)[other] + ":" + table["id"].to_numpy(object)[other]
    part = table.iloc[rows].reset_index(drop=True)
    part = (part if "label" in part else part.assign(label=None)).assign(
        cluster=cluster, kind=kinds, distance=np.where(is_exact, 0, best // (2 * n)), nearest=nearest,
        splits=_splits(cluster, part["split"].to_numpy(object)),
    )  # fmt: skip
    part["n_labels"] = part.groupby("cluster")["label"].transform("nunique").astype(int)
    return part[[*COLUMNS, *("path" for _ in range("path" in part))]]


def _splits(cluster: NDArray[np.int64], split: NDArray[Any]) -> NDArray[Any]:
    """(rows,) splits of each row's cluster, such as ``train+test``."""
    texts = np.full(cluster.max(initial=-1) + 1, "", object)
    for name in sorted(set(split), key=lambda name: (ORDER.get(name, len(ORDER)), name)):
        has = np.bincount(cluster[split == name], minlength=len(texts)) > 0
        texts[has] = np.where(texts[has] == "", name, texts[has] + "+" + name)
    return texts[cluster]
