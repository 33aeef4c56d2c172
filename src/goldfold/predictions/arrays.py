"""Predictions for a set of images, in memory and on disk."""

import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.base.files import atomic

Arrays = Mapping[str, NDArray[Any]]
"""Arrays by name: ``ids`` (n,), ``classes``, and those of the task. An entry ``<name>/<row>`` belongs to a single image."""


PER_OBJECT = ("boxes", "points", "scores", "labels")
"""Entries with one row per object; ``counts`` is the number of objects per image."""


class OneByOne(Mapping[str, NDArray[Any]]):
    """Lazy mapping with one large array per image, made on access, so that the whole set is never in memory.

    Args:
        arrays: small entries.
        name: large entries are ``<name>/0`` to ``<name>/<n - 1>``.
        n: number of images.
        make: row -> its array.
    """

    def __init__(
        self, arrays: Mapping[str, NDArray[Any]], name: str, n: int, make: Callable[[int], NDArray[Any]]
    ) -> None:
        self.arrays, self.make = dict(arrays), make
        self.rows = {f"{name}/{row}": row for row in range(n)}

    def __getitem__(self, key: str) -> NDArray[Any]:
        return self.arrays[key] if key in self.arrays else self.make(self.rows[key])

    def __iter__(self) -> Iterator[str]:
        yield from self.arrays
        yield from self.rows

    def __len__(self) -> int:
        return len(self.arrays) + len(self.rows)


def in_order(entries: Iterable[tuple[str, NDArray[Any]]]) -> Arrays:
    """Wrap a stream of entries for a single pass in order; entries of single images are released after access.

    Raises:
        LookupError: an entry of a single image is accessed out of order.
    """
    arrays: dict[str, NDArray[Any]] = {}
    coming = iter(entries)
    for name, array in coming:
        if "/" in name:
            coming = chain([(name, array)], coming)
            return OneByOne(arrays, name.split("/")[0], len(arrays["ids"]), partial(_next, coming))
        arrays[name] = array
    return arrays


def _next(coming: Iterator[tuple[str, NDArray[Any]]], row: int) -> NDArray[Any]:
    name, array = next(coming)
    if name.split("/")[1] != str(row):
        raise LookupError(f"row {row} is requested, but {name} is next")
    return array


def save(path: str | Path, entries: Iterable[tuple[str, NDArray[Any]]]) -> None:
    """Write entries one by one to a compressed .npz, atomically and with reproducible bytes."""
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in entries:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                npy.write_array(stream, np.asanyarray(array), allow_pickle=False)


def load(path: str | Path) -> Arrays:
    """Read predictions without unpickling; entries of single images are read on access."""
    archive = np.load(path, allow_pickle=False)
    single = [name for name in archive.files if "/" in name]
    arrays = {name: archive[name] for name in archive.files if "/" not in name}
    if not single:
        archive.close()
        return arrays
    name = single[0].split("/")[0]
    return OneByOne(arrays, name, len(single), lambda row: archive[f"{name}/{row}"])


def picked(parts: Sequence[tuple[Arrays, Sequence[str]]]) -> Arrays:
    """Merge some images of several predictions into one prediction, ordered by id; no image may be in two.

    Entries are treated by their form: ``classes`` and scalars are shared; with ``counts``, `PER_OBJECT` entries have that
    many rows per image; entries of single images are read on access; all others have one row per image.
    """
    rows = [rows_of(part, ids) for part, ids in parts]
    ids = np.concatenate([part["ids"][own] for (part, _), own in zip(parts, rows, strict=True)])
    order = np.argsort(ids, kind="stable")
    names = [name for name in parts[0][0] if "/" not in name]
    by_row = len(names) < len(parts[0][0]) or "counts" in names
    places = [(number, int(row)) for number, own in enumerate(rows) for row in own] if by_row else []
    chosen = [places[place] for place in order] if by_row else []
    arrays = {name: _picked(name, [part for part, _ in parts], chosen, rows, order) for name in names}
    single = next((name.split("/")[0] for name in parts[0][0] if "/" in name), None)
    if single is None:
        return arrays

    def make(place: int) -> NDArray[Any]:
        number, row = chosen[place]
        return parts[number][0][f"{single}/{row}"]

    return OneByOne(arrays, single, len(ids), make)


def _picked(
    name: str,
    parts: Sequence[Arrays],
    chosen: Sequence[tuple[int, int]],
    rows: Sequence[NDArray[np.int64]],
    order: NDArray[np.int64],
) -> NDArray[Any]:
    """Merge one entry, see `picked`.

    Args:
        chosen: part and row of each image; ``rows`` of each part, and ``order`` of all of them, are the same as arrays.
    """
    first = parts[0]
    if name == "classes" or first[name].ndim == 0:
        return first[name]
    if name not in PER_OBJECT or "counts" not in first:
        return _in_order([part[name] for part in parts], rows, order)
    ends = [np.cumsum(part["counts"]) for part in parts]
    spans = [(number, int(ends[number][row]), int(parts[number]["counts"][row])) for number, row in chosen]
    return np.concatenate([parts[number][name][end - n : end] for number, end, n in spans])


def _in_order(
    values: Sequence[NDArray[Any]], rows: Sequence[NDArray[np.int64]], order: NDArray[np.int64]
) -> NDArray[Any]:
    """Rows of several arrays in the order of all of them, written part by part: only the result is as large as all."""
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    found = np.empty((len(order), *values[0].shape[1:]), np.result_type(*values))
    start = 0
    for one, own in zip(values, rows, strict=True):
        found[places[start : start + len(own)]] = one[own]
        start += len(own)
    return found


def with_thresholds(predictions: Arrays, thresholds: Sequence[float]) -> Arrays:
    """Attach decision thresholds (classes,) to predictions, as the entry ``thresholds`` (n, classes), one row per image."""
    return with_same(predictions, "thresholds", np.asarray(thresholds, dtype=np.float64))


def with_same(predictions: Arrays, name: str, value: NDArray[Any]) -> Arrays:
    """Attach an array to predictions as the entry ``name`` (n, ...), the same for every image."""
    rows = np.tile(value, (len(predictions["ids"]), *[1] * value.ndim))
    if isinstance(predictions, OneByOne):
        single = next(iter(predictions.rows), "/").split("/")[0]
        return OneByOne({**predictions.arrays, name: rows}, single, len(predictions.rows), predictions.make)
    return {**predictions, name: rows}


def thresholds_of(predictions: Arrays, ids: Sequence[str] | None = None) -> NDArray[np.float64] | None:
    """Return the decision thresholds (n, classes), in the order of ``ids`` if given; None if there are none."""
    if "thresholds" not in predictions:
        return None
    return predictions["thresholds"] if ids is None else predictions["thresholds"][rows_of(predictions, ids)]


def disjoint(parts: Sequence[Arrays], classes: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Return the order that sorts the concatenated ids of all parts, and the sorted ids.

    Raises:
        DataError: an id is in two parts, or a part has other classes.
    """
    for part in parts:
        check_classes(part, classes)
    ids = np.concatenate([part["ids"] for part in parts])
    if len(np.unique(ids)) != len(ids):
        raise DataError(f"predictions overlap: id {_first_repeated(ids)!r} is in more than one part")
    order = np.argsort(ids, kind="stable")
    return order, ids[order]


def common_ids(members: Sequence[Arrays], classes: Sequence[str]) -> NDArray[np.str_]:
    """Return the sorted ids, which must be the same for all members.

    Raises:
        DataError: members predict different images, or have other classes.
    """
    ids: NDArray[np.str_] = np.sort(members[0]["ids"])
    for member in members:
        check_classes(member, classes)
        in_order = np.array_equal(member["ids"], members[0]["ids"])
        if not in_order and not np.array_equal(np.sort(member["ids"]), ids):
            odd = sorted(set(ids.tolist()) ^ set(member["ids"].tolist()))
            raise DataError(f"members predict different images, e.g. {odd[:1] or _first_repeated(member['ids'])}")
    return ids


def sharing_ids(members: Iterable[tuple[str, Arrays]]) -> dict[str, Arrays]:
    """Collect members by name; those with the ids of the first, in the same order, share its array of ids.

    Ids are text of fixed width, four bytes per character: of many members they may take as much memory as the predictions.
    """
    found: dict[str, Arrays] = {}
    for name, member in members:
        first = next(iter(found.values()), member)["ids"]
        is_shared = isinstance(member, dict) and np.array_equal(member["ids"], first)
        found[name] = {**member, "ids": first} if is_shared else member
    return found


def rows_of(predictions: Arrays, ids: Sequence[str]) -> NDArray[np.int64]:
    """Return the row in ``predictions`` of each of ``ids``, in their order.

    Raises:
        DataError: an id has no prediction.
    """
    known, wanted = np.asarray(predictions["ids"], dtype=str), np.asarray(ids, dtype=str)
    order = None if bool((known[1:] > known[:-1]).all()) else np.argsort(known, kind="stable")
    places = np.searchsorted(known, wanted, sorter=order)
    rows = places if order is None else order[np.minimum(places, len(known) - 1)]
    is_known = places < len(known)
    is_known[is_known] = known[rows[is_known]] == wanted[is_known]
    if not is_known.all():
        raise DataError(f"{int((~is_known).sum())} images have no prediction, first {ids[int(np.argmin(is_known))]!r}")
    return rows.astype(np.int64)


def check_classes(predictions: Arrays, classes: Sequence[str]) -> None:
    """Raise DataError if predictions have other classes, or the same in another order."""
    if odd := odd_class([str(name) for name in predictions["classes"]], classes):
        raise DataError(
            f"a prediction {odd}. Make it again with the classes of this run, which are in folds/classes.json."
        )


def odd_class(found: Sequence[str], classes: Sequence[str]) -> str:
    """Describe the first difference between the classes of predictions and those of the run; empty if there is none.

    >>> odd_class(["a", "c"], ["a", "b"])
    "has no class 'b', and the class 'c', which is not among the 2 of the run"
    """
    if list(found) == list(classes):
        return ""
    lacking = [name for name in classes if name not in {*found}]
    more = [name for name in found if name not in {*classes}]
    said = [f"no class {lacking[0]!r}"] if lacking else []
    said += [f"the class {more[0]!r}, which is not among the {len(classes)} of the run"] if more else []
    if said:
        return "has " + ", and ".join(said)
    place = next(
        (row for row, pair in enumerate(zip(found, classes, strict=False)) if pair[0] != pair[1]), len(classes)
    )
    return f"has its classes in another order, from the class {found[place]!r} in place {place + 1} on"


def _first_repeated(ids: NDArray[Any]) -> str:
    names, counts = np.unique(ids, return_counts=True)
    return str(names[counts > 1][0]) if (counts > 1).any() else ""
