"""Masks as run lengths in a CSV table, and a folder of images."""

from pathlib import Path

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.images.files import images_below, pool_of, without_suffix
from goldfold.sources.groups import with_groups
from goldfold.sources.naming import paths_of
from goldfold.sources.reading import column_of, read_csv
from goldfold.sources.unlisted import pool_beside, refuse_others, report_unlisted
from goldfold.targets.run_masks import runs_of

NO_MASK = frozenset({"-1", "nan"})
"""Values that mean no mask, besides an empty field."""


def read(
    train: str,
    images: str,
    id_column: str = "id",
    rle_column: str = "rle",
    class_column: str | None = None,
    classes: list[str] | None = None,
    row_major: bool = False,
    first_pixel: int = 1,
    overlap: bool = False,
    unlisted: str = "missing",
    test: str | None = None,
    test_answers: str | None = None,
    unlabeled: str | None = None,
    groups: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables of run lengths; ``runs`` is text as read by `goldfold.targets.run_masks`, missing if there is no row.

    Rows of the same image and class are merged.

    Args:
        overlap: whether rows of different classes may share pixels; a mask then has one bit per class.
        classes: names in the class column; their masks have the values 1, 2, ...
        test_answers: CSV of the same form with the test images; they become the split ``answers`` (id, runs).
        groups: CSV with the columns id and group.

    Raises:
        DataError: a column, id or class is missing or unknown.
    """

    def listed(path: str, key: str) -> dict[str, str]:
        found = _by_image(path, key, id_column, rle_column, class_column, classes or [])
        return {id: runs_of(by_value, row_major, first_pixel, overlap) for id, by_value in found.items()}

    nothing = runs_of({}, row_major, first_pixel, overlap) if unlisted == "empty" else None
    runs = listed(train, "data.train")
    held_out = [] if test is None else pool_of(test, "data.test")
    table = with_unlisted(list(runs), train, images, {path for _, path in held_out}, unlisted == "left_out")
    tables = {"train": with_groups(table.assign(runs=[runs.get(id, nothing) for id in table["id"]]), groups)}
    if test is not None:
        tables["test"] = pd.DataFrame(held_out, columns=["id", "path"])
    if test_answers is not None:
        tables["answers"] = _answers(
            tables.get("test"), listed(test_answers, "data.test_answers"), test_answers, nothing
        )
    if unlabeled is not None:
        tables["unlabeled"] = pool_beside(unlabeled, tables)
    if unlisted == "left_out":
        report_unlisted([images], tables)
    return tables


def _by_image(
    path: str, key: str, id_column: str, rle_column: str, class_column: str | None, classes: list[str]
) -> dict[str, dict[int, list[str]]]:
    """Texts of run lengths by the value of their class, by image id."""
    table = read_csv(path, key)
    ids = column_of(table, id_column, path, "data.id_column")
    texts = column_of(table, rle_column, path, "data.rle_column")
    names = ids if class_column is None else column_of(table, class_column, path, "data.class_column")
    found: dict[str, dict[int, list[str]]] = {}
    for row, (id, text, name) in enumerate(zip(ids, texts, names, strict=True), start=1):
        if not isinstance(id, str):
            raise DataError(f"{path}: column {id_column!r} is empty in row {row}. Fill it in.")
        of_image = found.setdefault(id, {})
        if not isinstance(text, str) or text.lower() in NO_MASK:
            continue
        if class_column is not None and name not in classes:
            raise DataError(
                f"{path}: row {row} has the class {name!r}; data.classes has {', '.join(classes)}. Correct one of them."
            )
        of_image.setdefault(1 + classes.index(name) if class_column else 1, []).append(text)
    return found


def with_unlisted(ids: list[str], csv: str, images: str, held_out: set[str], leaves_out: bool) -> pd.DataFrame:
    """id and path of the images in the table and, unless ``leaves_out``, of other images below the folder."""
    paths = paths_of(ids, csv, images)
    first: dict[str, str] = {}
    for id, path in zip(ids, paths, strict=True):
        if first.setdefault(path, id) != id:
            raise DataError(f"{csv}: ids {first[path]!r} and {id!r} are both {path}. Write its id in one way.")
    named = {*paths, *held_out}
    rest = [(without_suffix(name), str(Path(images) / name)) for name in images_below(images, "data.images")]
    unnamed = [(id, path) for id, path in rest if path not in named]
    rows = [*zip(ids, paths, strict=True), *([] if leaves_out else unnamed)]
    return pd.DataFrame(rows, columns=["id", "path"])


def _answers(test: pd.DataFrame | None, runs: dict[str, str], path: str, nothing: str | None) -> pd.DataFrame:
    if test is None:
        raise DataError("data.test_answers is set, but there are no test images: set data.test, or remove it.")
    known = {without_suffix(id): text for id, text in runs.items()}
    if nothing is not None:
        refuse_others(known, test, path, "objects")
    found = [known.get(id, nothing) for id in test["id"]]
    if None in found:
        raise DataError(
            f"data.test_answers: {found.count(None)} of {len(test)} test images are not in {path}, first "
            f"{test['id'][found.index(None)]!r}. Add them, or remove data.test_answers."
        )
    return pd.DataFrame({"id": test["id"], "runs": found})
