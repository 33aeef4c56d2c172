"""Stage external: files of another tool -> predictions of one member of the ensemble."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold import tasks
from goldfold.base.errors import DataError
from goldfold.base.files import read_json
from goldfold.external.arrays import refuse_uneven
from goldfold.external.cover import refuse_missing, refuse_other_folds, refuse_twice
from goldfold.external.reading import Given, read
from goldfold.predictions.arrays import Arrays, picked, save
from goldfold.splits.scored import scored
from goldfold.tables import read_table
from goldfold.tasks.given import PREFIX, unknown_classes
from goldfold.tasks.protocol import External


def run(
    folder: str,
    lists: dict[str, str],
    classes: str,
    class_ids: str,
    task: dict[str, Any],
    name: str,
    files: dict[str, str],
    fold: str | None,
) -> dict[str, Any]:
    """Write ``oof.npz`` and, where a file is named, ``test.npz`` into ``folder``; return the facts.

    Args:
        lists: ``train`` and ``test`` -> CSV of the images to cover.
        class_ids: JSON of class -> its number in the files of the data source.
        name: name of the member.
        files: ``oof`` and ``test`` -> file, see `goldfold.external.reading.read`.
        fold: column of the OOF file with the fold of each image; None if it is not checked.

    Raises:
        DataError: an image has no prediction or several, the folds are others, or values are not predictions.
    """
    names, numbers = read_json(classes), read_json(class_ids)
    facet = tasks.external(task, names)
    facts: dict[str, Any] = {"member": {"external": name}, "folds_checked": fold is not None}
    for part, split, what in (("oof", "train", "validated images"), ("test", "test", "test images")):
        if part not in files:
            continue
        images, where = scored(read_table(lists[split])), f"{files[part]} (external member {name})"
        content = read(files[part], names, numbers, images, where)
        arrays = _arrays(facet, content, images, where)
        ids, wanted = arrays["ids"].tolist(), images["id"].tolist()
        refuse_twice(ids, where)
        refuse_missing(ids, wanted, where, what)
        if part == "oof" and fold is not None:
            _refuse_other_folds(content, images, where, fold, lists[split])
        entries = picked([(arrays, wanted)])
        save(Path(folder) / f"{part}.npz", entries.items())
        n_unused = len({*content.ids} - {*wanted})
        facts[part] = {"n": len(wanted), "n_unused": n_unused, "unknown": unknown_classes(entries)}
        print(f"{part}: {len(wanted):,} images, {n_unused:,} others not used", flush=True)
        if facts[part]["unknown"]:
            facts[part]["others"] = _of_no_class(content, names, fold)
            print(f"classes that it does not know: {', '.join(facts[part]['unknown'])}", flush=True)
    return facts


def _refuse_other_folds(content: Given, images: pd.DataFrame, where: str, column: str, listed: str) -> None:
    folds = content.column(column, where)
    if folds is None:
        raise DataError(
            f"{where}: no column {column!r} with the fold of each image, without which predictions cannot be shown to be out of "
            f"fold. Add it (copy it from {listed}), or set fold: null for this member if you are sure that it was trained on "
            f"exactly the folds of this run."
        )
    if "fold" not in images:
        raise DataError(f"{listed} has no column 'fold', so the folds of {where} cannot be checked. Set fold: null.")
    of_run = dict(zip(images["id"], images["fold"], strict=True))
    refuse_other_folds([*zip(content.ids, folds, strict=True)], of_run, where, column, listed)


def _of_no_class(content: Given, classes: Sequence[str], fold: str | None) -> list[str]:
    """Return the columns of a table that are not read, among which may be a class by another name."""
    read_ones = {"id", fold, *classes, *(f"{PREFIX}{name}" for name in classes)}
    return [] if content.table is None else [str(name) for name in content.table.columns if name not in read_ones]


def _arrays(facet: External | None, content: Given, images: pd.DataFrame, where: str) -> Arrays:
    """Return the arrays of a member, as its file has them or from its table."""
    if content.arrays is not None and facet is not None:
        return facet.from_arrays(content.arrays, images, where)
    if content.arrays is not None:
        refuse_uneven(content.arrays, where)
        return content.arrays
    if facet is None or content.table is None:
        raise DataError(f"{where}: this task has no table of predictions; write an .npz, see docs/external.md.")
    return facet.from_table(content.table, images, where)
